#![doc = include_str!("../README.md")]
//!
//! # Names
//!
//! Throughout, `m`, `n` and `k` are rows, output channels and depth. All matrices are row-major.
//! Operations are methods of [`Kernels`]; a slice of the wrong length is a mistake of the
//! program's and panics, while the weights' views ([`PackedI8`], ..), which may come out of a
//! file, give a [`ShapeError`].
// Matrix products take what BLAS's take: operands, sizes, output.
#![allow(clippy::too_many_arguments)]

mod activation;
mod attention_i8;
mod generic;
mod isa;
pub mod layout;
pub mod math;
mod ops;
pub mod peak;
mod portable;
mod reference;
mod table;
mod tokens;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use activation::Activation;
pub use isa::{Isa, IsaError};
pub use layout::{
    MAX_K, PackedF16, PackedF32, PackedI8, QuantizedWeights, ShapeError, checked_packed_f32_len,
    checked_packed_i8_len, column_sums, pack_f16, pack_f32, pack_i8, packed_f32_len, packed_i8_len,
    padded_k, quantize_weights, unpack_f16, unpack_f32, unpack_i8,
};
pub use ops::RowQuant;
pub use table::Kernels;
