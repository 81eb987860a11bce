//! Models: their configuration, their weights, and opening them.

pub mod bert;
pub mod config;
mod layer_outputs;
mod open;

pub use config::{Activation, Head, ModelConfig, Pooling};
pub use open::{CheckReport, Model, Verify};
