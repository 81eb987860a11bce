//! The bounds and factors of attention in integers, the same on every tier.
//!
//! No sum may overflow an i32, whatever the input.
//!
//! Scores: `255 * MAX_QK * head_dim` at most, as a tier may make queries unsigned. That is
//! `255 * 127 * 65_536 = 2_122_383_360 < 2^31`.
//!
//! Contexts: `sum of weights * MAX_V` at most.
//!
//! * Up to [`FEW_TOKENS`] tokens, no weight exceeds [`FEW_FACTOR`]:
//!   `512 * 8192 * 511 = 2_143_289_344 < 2^31`.
//! * For more, the weights' sum exceeds [`WEIGHT_SUM`] by at most half a step per token (32,768 at
//!   [`MAX_TOKENS`]) and by the rounding of the float sum that they were divided by (less than a
//!   thousandth): `(4_160_000 * 1.001 + 32_768) * 511 = 2_144_630_208 < 2^31`.

/// Largest magnitude of a rounded query or key.
pub(crate) const MAX_QK: i32 = 127;
/// Largest magnitude of a rounded value.
pub(crate) const MAX_V: i32 = 511;
/// Longest sequence.
pub(crate) const MAX_TOKENS: usize = 65_536;
/// For at most this many tokens a fixed factor is safe, so rounding need not wait for the sum of
/// the exponentials.
pub(crate) const FEW_TOKENS: usize = 512;
/// That factor: a power of two, so that it costs no multiplication.
pub(crate) const FEW_FACTOR: f32 = 8192.0;
/// Approximate target sum of the integer weights of longer sequences.
const WEIGHT_SUM: f32 = 4_160_000.0;
/// Largest weight in longer sequences: an i16's.
const MAX_WEIGHT: f32 = 32767.0;

/// The factor of scores that turns `2^score` into `e^(q . k / sqrt(head_dim))`.
pub(crate) fn score_factor(head_dim: usize) -> f32 {
    std::f32::consts::LOG2_E / (head_dim as f32).sqrt()
}

/// The factor that turns the exponentials of `len` tokens, of which the largest is 1, into integer
/// weights. `sum` is their sum.
pub(crate) fn weight_factor(len: usize, sum: f32) -> f32 {
    if len <= FEW_TOKENS {
        return FEW_FACTOR;
    }
    let factor = WEIGHT_SUM / sum;
    if factor > MAX_WEIGHT {
        MAX_WEIGHT
    } else {
        factor
    }
}
