//! Parameters that several operations share.

use crate::Activation;

/// How a row of inputs was rounded to `u8`: `x` is about `(q - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowQuant {
    /// Step between neighbouring values of `q`.
    pub scale: f32,
    /// The `q` of 0.0, from 0 to 255.
    pub zero: i32,
}

/// Rows of floats.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// `m * k` values, row-major.
    pub data: &'a [f32],
    /// Rows.
    pub m: usize,
    /// Floats in a row.
    pub k: usize,
}

/// Rows of inputs in 8 bits, each with its scale and zero point: see
/// [`QuantizeU8`](crate::QuantizeU8).
#[derive(Debug, Clone, Copy)]
pub struct RowsU8<'a> {
    /// `m * padded_k(k)` bytes, row-major; see [`layout::padded_k`](crate::layout::padded_k).
    pub data: &'a [u8],
    /// One entry per row; its length is `m`.
    pub params: &'a [RowQuant],
}

/// [`RowsU8`] to write.
#[derive(Debug)]
pub struct RowsU8Mut<'a> {
    /// `m * padded_k(k)` bytes, row-major.
    pub data: &'a mut [u8],
    /// One entry per row.
    pub params: &'a mut [RowQuant],
}

/// Rows of inputs in 16 bits, symmetric, as two planes of bytes: see
/// [`QuantizeI16`](crate::QuantizeI16).
#[derive(Debug, Clone, Copy)]
pub struct RowsI16<'a> {
    /// `m * padded_k(k)` upper bytes, row-major, each 128 too large.
    pub high: &'a [u8],
    /// As many lower bytes.
    pub low: &'a [u8],
    /// One scale per row; its length is `m`.
    pub scales: &'a [f32],
}

/// [`RowsI16`] to write.
#[derive(Debug)]
pub struct RowsI16Mut<'a> {
    /// `m * padded_k(k)` upper bytes, row-major.
    pub high: &'a mut [u8],
    /// As many lower bytes.
    pub low: &'a mut [u8],
    /// One scale per row.
    pub scales: &'a mut [f32],
}

/// The last step of a matrix product, on each output: add the bias, apply the function.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// One value per output channel.
    pub bias: &'a [f32],
    /// The function.
    pub act: Activation,
}
