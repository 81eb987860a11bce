//! Kernels.
#![allow(missing_docs)]

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation { None, Gelu, GeluTanh, Relu, Tanh }
#[derive(Debug)]
pub struct IsaError;
impl std::fmt::Display for IsaError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "isa") } }
impl std::error::Error for IsaError {}
