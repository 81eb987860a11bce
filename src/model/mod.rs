//! Models: their configuration, their weights, and opening them.

pub mod architectures;
pub(crate) mod open;

pub use crate::config::{
    Activation, Activations, Architecture, Head, Matrix, ModelConfig, Pooling, Precision,
};
