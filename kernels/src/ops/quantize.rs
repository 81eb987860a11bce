//! Rounding of rows to integers.

use super::check;
use crate::layout::padded_k;
use crate::{Kernels, Rows, RowsI16Mut, RowsU8Mut};

/// Parameters of [`Kernels::quantize_u8`].
#[derive(Debug)]
pub struct QuantizeU8<'a> {
    /// The rows to round.
    pub x: Rows<'a>,
    /// `k` factors, by which each row is multiplied first.
    pub scale: Option<&'a [f32]>,
    /// The rounded rows.
    pub out: RowsU8Mut<'a>,
}

/// Parameters of [`Kernels::quantize_i16`].
#[derive(Debug)]
pub struct QuantizeI16<'a> {
    /// The rows to round.
    pub x: Rows<'a>,
    /// `k` factors, by which each row is multiplied first.
    pub scale: Option<&'a [f32]>,
    /// The rounded rows.
    pub out: RowsI16Mut<'a>,
}

#[track_caller]
fn check_input(x: Rows<'_>, scale: Option<&[f32]>) {
    check("x", x.data.len(), &[x.m, x.k]);
    if let Some(scale) = scale {
        check("scale", scale.len(), &[x.k]);
    }
}

impl Kernels {
    /// Rounds each row to `u8`, asymmetrically.
    ///
    /// Per row: `x[d]` is first `x[d] * scale[d]` where there is a scale;
    /// `low = min(0, x..)`, `high = max(0, x..)`, `scale = (high - low) / 255`,
    /// `inverse = 255 / (high - low)`, `zero = round_even(-low * inverse)`,
    /// `q = clamp(round_even(x * inverse) + zero, 0, 255)`.
    /// A row of zeros, or so small that `inverse` overflows, gets `q = 0`, scale 1, zero 0.
    /// A row with a NaN, or whose range is not finite, gets `q = 0`, scale NaN, zero 0, so that
    /// everything computed from it is NaN. The padding is set to 0.
    ///
    /// # Panics
    /// If a slice does not have the length that `x.m` and `x.k` ask for, or `x.k` exceeds
    /// [`MAX_K`](crate::layout::MAX_K).
    pub fn quantize_u8(&self, op: QuantizeU8<'_>) {
        let Rows { m, k, .. } = op.x;
        check_input(op.x, op.scale);
        check("out.data", op.out.data.len(), &[m, padded_k(k)]);
        check("out.params", op.out.params.len(), &[m]);
        (self.quantize_u8)(op);
    }

    /// Rounds each row to 16 bits, symmetrically, in two planes of bytes.
    ///
    /// Per row: `x[d]` is first `x[d] * scale[d]` where there is a scale;
    /// `scale = max|x| / 32767`, `q = round_even(x * (32767 / max|x|))`, and
    /// `q = (high - 128) * 256 + low`. A row of zeros, or too small, gets `q = 0`, scale 1; a row
    /// with a NaN or an infinity gets `q = 0`, scale NaN. The padding is set to `q = 0`.
    ///
    /// # Panics
    /// If a slice does not have the length that `x.m` and `x.k` ask for, or `x.k` exceeds
    /// [`MAX_K`](crate::layout::MAX_K).
    pub fn quantize_i16(&self, op: QuantizeI16<'_>) {
        let Rows { m, k, .. } = op.x;
        check_input(op.x, op.scale);
        check("out.high", op.out.high.len(), &[m, padded_k(k)]);
        check("out.low", op.out.low.len(), &[m, padded_k(k)]);
        check("out.scales", op.out.scales.len(), &[m]);
        (self.quantize_i16)(op);
    }
}
