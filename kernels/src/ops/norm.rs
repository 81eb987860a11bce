//! Layer norm.

use super::check;
use crate::Kernels;

/// Parameters of [`Kernels::layer_norm`].
#[derive(Debug)]
pub struct LayerNorm<'a> {
    /// `m * n` values: the rows to normalise, in place.
    pub x: &'a mut [f32],
    /// `m * n` values to add to `x` first: the residual connection.
    pub delta: Option<&'a [f32]>,
    /// `n` factors.
    pub weight: &'a [f32],
    /// `n` offsets.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

impl Kernels {
    /// Normalises each row in place: `x = x + delta` where there is a delta, then
    /// `mean = sum(x) / n`, `variance = sum((x - mean)^2) / n`,
    /// `x = ((x - mean) * (1 / sqrt(variance + eps))) * weight + bias`; sums by 16 lanes.
    ///
    /// `n` is the length of `weight`.
    ///
    /// # Panics
    /// If `x` is not whole rows of `n`, `delta` is not as long as `x`, or `bias` is not as long as
    /// `weight`.
    pub fn layer_norm(&self, op: LayerNorm<'_>) {
        let (len, n) = (op.x.len(), op.weight.len());
        assert!(
            len.is_multiple_of(n),
            "x has {len} elements, which are not rows of {n}"
        );
        check("bias", op.bias.len(), &[n]);
        if let Some(delta) = op.delta {
            check("delta", delta.len(), &[len]);
        }
        (self.layer_norm)(op);
    }
}
