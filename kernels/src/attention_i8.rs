//! The bounds of attention in integers, the same on every tier.
//!
//! No sum may leave an i32, whatever the input:
//! scores: `255 * MAX_QK * head_dim`, where a tier may have made queries unsigned, which is
//! `255 * 127 * 65_536 = 2_122_383_360 < 2^31` at most;
//! contexts: `sum of weights * MAX_V`. Of [`FEW_TOKENS`] none exceeds [`FEW_FACTOR`]:
//! `512 * 8192 * 511 = 2_143_289_344 < 2^31`. Of more their sum exceeds [`SUM_P`] by at most half a
//! step a token (32,768 at [`MAX_TOKENS`]) and by the rounding of the float sum that they were divided
//! by (less than a thousandth): `(4_160_000 * 1.001 + 32_768) * 511 = 2_144_630_208 < 2^31`.

/// Largest magnitude of a rounded query or key.
pub(crate) const MAX_QK: i32 = 127;
/// Largest magnitude of a rounded value.
pub(crate) const MAX_V: i32 = 511;
/// Longest sequence.
pub(crate) const MAX_TOKENS: usize = 65_536;
/// Up to so many tokens the exponentials' factor does not depend on their sum, which need not be
/// known before they are rounded.
pub(crate) const FEW_TOKENS: usize = 512;
/// That factor: a power of two, so that it costs no multiplication.
pub(crate) const FEW_FACTOR: f32 = 8192.0;
/// What the integer weights of more tokens add up to, about, where none of them would exceed an i16.
const SUM_P: f32 = 4_160_000.0;
/// Largest weight of more tokens.
const MAX_P: f32 = 32767.0;

/// What scores are multiplied by, so that two to their power is `e` to that of the scaled product.
pub(crate) fn score_factor(head_dim: usize) -> f32 {
    std::f32::consts::LOG2_E / (head_dim as f32).sqrt()
}

/// What the exponentials of `len` tokens, the largest 1, are multiplied by to become integers, given
/// their sum.
pub(crate) fn weight_factor(len: usize, sum: f32) -> f32 {
    if len <= FEW_TOKENS {
        return FEW_FACTOR;
    }
    let factor = SUM_P / sum;
    if factor > MAX_P { MAX_P } else { factor }
}
