//! The public operations.
//!
//! An operation is a struct of its parameters and a method of [`Kernels`](crate::Kernels). The
//! method checks the shapes, which the tiers' functions then rely on, and calls the tier's
//! function. This is the only place that checks shapes.

mod attention;
mod elementwise;
mod gemm;
mod norm;
mod quantize;

pub(crate) use attention::AttentionI8;
pub use attention::{Attention, ClsAttention};
pub(crate) use elementwise::{Activate, AddScaledI8, Dot, Softmax, WidenF16};
pub use gemm::{GemmFloat, GemmI8, GemmI8A16};
pub use norm::LayerNorm;
pub use quantize::{QuantizeI16, QuantizeU8};

use crate::generic::simd::Simd;

/// An operation's parameters, which the tiers but the reference compute in the same way.
///
/// The bodies are in `generic/`.
pub(crate) trait Operation: Sized {
    /// The result, where it is not written to a parameter.
    type Output;

    /// Computes the operation with a tier's vectors. `#[inline(always)]`, to become part of a
    /// function that is compiled for the tier's features.
    fn compute<S: Simd>(self, s: S) -> Self::Output;
}

/// Panics unless `actual` is the product of `shape`.
#[track_caller]
fn check(what: &str, actual: usize, shape: &[usize]) {
    let expected = shape
        .iter()
        .try_fold(1_usize, |product, &x| product.checked_mul(x));
    assert!(
        expected == Some(actual),
        "{what} has {actual} elements, its shape is {shape:?}"
    );
}

/// Panics unless `rows` is a whole number of rows of `width`.
#[track_caller]
fn check_whole(what: &str, rows: &[f32], width: usize) {
    assert!(
        rows.len().is_multiple_of(width),
        "{what} has {} elements, which are not rows of {width}",
        rows.len()
    );
}
