//! Architectures.

pub mod config;

pub use config::{Activation, Head, ModelConfig, Pooling};
