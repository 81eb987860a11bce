//! The bounds of attention in integers, the same on every tier.
//!
//! No sum may leave an i32, whatever the input:
//! scores: `255 * MAX_QK * head_dim`, where a tier may have made queries unsigned, which is
//! `255 * 127 * 65_536 = 2_122_383_360 < 2^31` at most;
//! contexts: `sum of weights * MAX_V`, where the weights' sum exceeds [`SUM_P`] by at most half a step a token
//! (32,768 at [`MAX_TOKENS`]) and by the rounding of the float sum that they were divided by (less
//! than a thousandth): `(16_800_000 * 1.001 + 32_768) * 127 = 2_139_895_136 < 2^31`.

/// Largest magnitude of a rounded query or key.
pub(crate) const MAX_QK: i32 = 127;
/// Largest magnitude of a rounded value.
pub(crate) const MAX_V: i32 = 127;
/// What the integer weights of a row add up to, about, where none of them would exceed an i16.
pub(crate) const SUM_P: f32 = 16_800_000.0;
/// Largest weight.
pub(crate) const MAX_P: f32 = 32767.0;
/// Longest sequence.
pub(crate) const MAX_TOKENS: usize = 65_536;
/// Up to so many tokens the factor is always [`MAX_P`], because exponentials are at most 1.
pub(crate) const FEW_TOKENS: usize = 512;
const _: () = assert!(SUM_P / FEW_TOKENS as f32 >= MAX_P);

/// What scores are multiplied by, so that two to their power is `e` to that of the scaled product.
pub(crate) fn score_factor(head_dim: usize) -> f32 {
    std::f32::consts::LOG2_E / (head_dim as f32).sqrt()
}

/// What exponentials, the largest 1, are multiplied by to become integers, given their sum.
pub(crate) fn weight_factor(sum: f32) -> f32 {
    let factor = SUM_P / sum;
    if factor > MAX_P { MAX_P } else { factor }
}
