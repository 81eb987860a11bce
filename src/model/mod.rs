//! Models: their configuration, their weights, and opening them.

pub mod architectures;
mod open;

pub use crate::config::{Activation, Activations, Head, Matrix, ModelConfig, Pooling, Precision};
pub(crate) use open::{Model, Verify};
