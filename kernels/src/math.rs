//! The transcendental functions, in scalar form.
//!
//! The reference tier calls these. Every other tier repeats the same IEEE operations in the same
//! order, lane by lane, so that the bits agree. The platform's library is never called: its results
//! differ between systems. `coefficients.py` prints the tables below; `tests/math.rs` states the
//! largest errors against `f64` and checks them.
//!
//! NaN gives NaN everywhere; which NaN is not specified.
#![allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "the tables stand as the script prints them"
)]

/// Adding this to `|x| <= 2^22` leaves no fraction bits: the sum's rounding is the rounding of `x`
/// to an integer, ties to even, and the low bits hold the integer.
pub(crate) const ROUND_MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23

/// `x` rounded to the nearest integer, ties to even, for `|x| <= 2^22`; unspecified for NaN.
#[inline]
pub(crate) fn round_even(x: f32) -> i32 {
    ((x + ROUND_MAGIC).to_bits() as i32).wrapping_sub(ROUND_MAGIC.to_bits() as i32)
}

/// `exp` clamps its argument to these bounds, beyond which it is 0 and infinity.
pub(crate) const EXP_MIN: f32 = -105.0;
pub(crate) const EXP_MAX: f32 = 89.0;
/// ln 2 in two parts; the first has 12 bits, so its product with a small integer is exact.
pub(crate) const LN2_HIGH: f32 = 0.693115234375;
pub(crate) const LN2_LOW: f32 = 3.194618329871446e-05;
/// `(e^r - 1 - r) / r^2`.
pub(crate) const EXP: [f32; 5] = [0.5, 0.16666518, 0.041666206, 0.008368953, 0.0013950602];
/// Numerator of `erf(x) / x` in `x^2`.
pub(crate) const ERF_P: [f32; 6] = [
    1.128379,
    0.19297361,
    0.053084478,
    0.0038763694,
    0.00028749256,
    2.030853e-06,
];
/// Denominator of `erf(x) / x` in `x^2`.
pub(crate) const ERF_Q: [f32; 6] = [
    1.0,
    0.50435007,
    0.115167886,
    0.01518844,
    0.0011897594,
    3.80313e-05,
];
/// `(tanh(x) - x) / x^3` in `x^2`.
pub(crate) const TANH: [f32; 5] = [
    -0.3333328,
    0.13331383,
    -0.053734004,
    0.020618131,
    -0.0056793136,
];

/// `(2^f - 1) / f` for `|f| <= 1/2`.
pub(crate) const EXP2: [f32; 3] = [0.6932829, 0.24221095, 0.05500893];
/// `exp2_coarse` clamps its argument to this lower bound.
pub(crate) const EXP2_MIN: f32 = -100.0;
/// `1 - Phi(a)` for `0 <= a <= GELU_END`, with the normal distribution's Phi.
pub(crate) const GELU: [f32; 7] = [
    0.4985031,
    -0.3812989,
    -0.05862957,
    0.15230499,
    -0.062478308,
    0.010888992,
    -0.00071755116,
];
/// Beyond this magnitude, `gelu_coarse` differs from 0 or from `x` as much as here.
pub(crate) const GELU_END: f32 = 3.83;

/// From this magnitude on, `erf` rounds to 1.
pub(crate) const ERF_ONE: f32 = 3.925;
/// Below this magnitude, `tanh` is a polynomial; above, it uses `exp`.
pub(crate) const TANH_SMALL: f32 = 0.625;
/// sqrt(2 / pi), in GELU's tanh approximation.
pub(crate) const SQRT_2_OVER_PI: f32 = 0.797_884_6;
/// The factor of the cubic term in GELU's tanh approximation.
pub(crate) const GELU_CUBIC: f32 = 0.044_715;

/// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule.
#[inline]
fn polynomial<const N: usize>(x: f32, coefficients: &[f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for &c in coefficients[..N - 1].iter().rev() {
        sum = sum * x + c;
    }
    sum
}

/// `2^n` for `-126 <= n <= 127`.
#[inline]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(n.wrapping_add(127).wrapping_shl(23) as u32)
}

/// `e^x`: 0 below about -103.97, infinity above about 88.72, with subnormal results.
///
/// `x = n ln 2 + r` with an integer `n` and `|r| <= ln(2)/2`; then `2^n (1 + (r + r^2 q(r)))`.
/// `2^n` is multiplied in two halves, so that neither overflows.
#[inline]
#[must_use]
pub fn exp(x: f32) -> f32 {
    // Comparisons that are false for NaN, so that NaN stays.
    let x = if x > EXP_MAX { EXP_MAX } else { x };
    let x = if x < EXP_MIN { EXP_MIN } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND_MAGIC;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND_MAGIC.to_bits() as i32);
    let n_float = shifted - ROUND_MAGIC;
    let r = (x - n_float * LN2_HIGH) - n_float * LN2_LOW;
    let value = 1.0 + (r + (r * r) * polynomial(r, &EXP));
    let half = n >> 1;
    (value * power_of_two(half)) * power_of_two(n.wrapping_sub(half))
}

/// `2^x` for `x <= 0`, with a relative error up to 1.1e-4, at most 1: for attention's weights,
/// which are rounded to integers next. Arguments below -100 count as -100.
///
/// `x = n + f` with an integer `n` and `|f| <= 1/2`; then `(1 + f q(f)) 2^n`.
#[inline]
#[must_use]
pub fn exp2_coarse(x: f32) -> f32 {
    let x = if x < EXP2_MIN { EXP2_MIN } else { x };
    let shifted = x + ROUND_MAGIC;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND_MAGIC.to_bits() as i32);
    let f = x - (shifted - ROUND_MAGIC);
    (1.0 + f * polynomial(f, &EXP2)) * power_of_two(n)
}

/// `1 / (1 + e^-x)`; 0 and 1 at the infinities.
#[inline]
#[must_use]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent; -1 and 1 at the infinities.
///
/// `x + x^3 p(x^2)` where `|x| < 0.625`, else `1 - 2 / (e^(2|x|) + 1)` with the sign of `x`.
#[inline]
#[must_use]
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    if magnitude < TANH_SMALL {
        let square = x * x;
        x + (x * square) * polynomial(square, &TANH)
    } else {
        (1.0 - 2.0 / (exp(magnitude + magnitude) + 1.0)).copysign(x)
    }
}

/// The error function: `x p(x^2) / q(x^2)` where `|x| < 3.925`, else -1 or 1.
#[inline]
#[must_use]
pub fn erf(x: f32) -> f32 {
    if x.abs() >= ERF_ONE {
        return 1.0_f32.copysign(x);
    }
    let square = x * x;
    (x * polynomial(square, &ERF_P)) / polynomial(square, &ERF_Q)
}

/// GELU by the error function: `x * (0.5 * (1 + erf(x * sqrt(1/2))))`. NaN at minus infinity.
#[inline]
#[must_use]
pub fn gelu(x: f32) -> f32 {
    x * (0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2)))
}

/// GELU by a polynomial without a division, with an error up to 1.3e-4: for outputs of int8
/// products that are rounded to 8 or 16 bits next.
///
/// `max(x, 0) - a p(a)` with `a = |x|`, cut off where GELU has nearly reached 0 or `x`.
#[inline]
#[must_use]
pub fn gelu_coarse(x: f32) -> f32 {
    // Comparisons that are false for NaN, so that NaN stays.
    let a = x.abs();
    let a = if a > GELU_END { GELU_END } else { a };
    let positive = if x < 0.0 { 0.0 } else { x };
    positive - a * polynomial(a, &GELU)
}

/// GELU's tanh approximation: `0.5 x (1 + tanh(u))` with `u = sqrt(2/pi) (x + 0.044715 x^3)`,
/// computed as `x * sigmoid(2 u)`, which is equal. NaN at minus infinity.
#[inline]
#[must_use]
pub fn gelu_tanh(x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * (x + GELU_CUBIC * ((x * x) * x));
    x * sigmoid(u + u)
}

/// 0 for negative `x`, otherwise `x`; -0 and NaN stay.
#[inline]
#[must_use]
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
