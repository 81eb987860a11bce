//! Models: their configuration, their weights, and opening them.

mod activations;
pub mod bert;
pub mod config;
mod layer_outputs;
mod open;

pub use activations::{Activations, Matrix, Precision};
pub use config::{Activation, Head, ModelConfig, Pooling};
pub use open::{CheckReport, Model, Verify};
