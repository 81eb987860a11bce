//! The functions of [`crate::math`], lane by lane: the same operations in the same order.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use super::simd::Simd;
use crate::Activation;
use crate::math::{
    ERF_ONE, ERF_P, ERF_Q, EXP, EXP_MAX, EXP_MIN, EXP2, EXP2_MIN, GELU, GELU_CUBIC, GELU_END,
    LN2_HIGH, LN2_LOW, ROUND_MAGIC, SQRT_2_OVER_PI, TANH, TANH_SMALL,
};

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, coefficients: &[f32; N]) -> S::F32 {
    let mut sum = s.splat(coefficients[N - 1]);
    for &c in coefficients[..N - 1].iter().rev() {
        sum = sum * x + s.splat(c);
    }
    sum
}

#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let x = s.min(s.splat(EXP_MAX), x);
    let x = s.max(s.splat(EXP_MIN), x);
    let magic = s.splat(ROUND_MAGIC);
    let n = (x * s.splat(LOG2_E) + magic) - magic;
    let r = (x - n * s.splat(LN2_HIGH)) - n * s.splat(LN2_LOW);
    let value = s.splat(1.0) + (r + (r * r) * polynomial(s, r, &EXP));
    s.scale(value, n)
}

/// [`crate::math::exp2_coarse`] times a power of two.
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F32, factor: f32) -> S::F32 {
    let x = s.max(s.splat(EXP2_MIN), x);
    let magic = s.splat(ROUND_MAGIC);
    let shifted = x + magic;
    let f = x - (shifted - magic);
    (s.splat(1.0) + f * polynomial(s, f, &EXP2)) * s.power_of_two(shifted, factor)
}

#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    // -0 - x is -x, of zeros too.
    one / (one + exp(s, s.splat(-0.0) - x))
}

#[inline(always)]
fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let one = s.splat(1.0);
    let magnitude = s.abs(x);
    let square = x * x;
    let small = x + (x * square) * polynomial(s, square, &TANH);
    let large = one - s.splat(2.0) / (exp(s, magnitude + magnitude) + one);
    s.if_less(magnitude, s.splat(TANH_SMALL), small, s.copysign(large, x))
}

#[inline(always)]
fn erf<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let square = x * x;
    let value = (x * polynomial(s, square, &ERF_P)) / polynomial(s, square, &ERF_Q);
    let one = s.copysign(s.splat(1.0), x);
    // Where x is NaN so is the quotient. The largest float below the threshold, because the
    // reference compares with `>=`.
    let below = s.splat(ERF_ONE.next_down());
    s.if_less(below, s.abs(x), one, value)
}

#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    x * (s.splat(0.5) * (s.splat(1.0) + erf(s, x * s.splat(FRAC_1_SQRT_2))))
}

#[inline(always)]
pub(super) fn gelu_coarse<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.min(s.splat(GELU_END), s.abs(x));
    s.max(s.splat(0.0), x) - a * polynomial(s, a, &GELU)
}

#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let u = s.splat(SQRT_2_OVER_PI) * (x + s.splat(GELU_CUBIC) * ((x * x) * x));
    x * sigmoid(s, u + u)
}

/// [`Activation::apply`] to 16 values.
#[inline(always)]
pub(super) fn apply<S: Simd>(s: S, act: Activation, x: S::F32) -> S::F32 {
    match act {
        Activation::None => x,
        Activation::Gelu => gelu(s, x),
        Activation::GeluCoarse => gelu_coarse(s, x),
        Activation::GeluTanh => gelu_tanh(s, x),
        Activation::Relu => s.if_less(x, s.splat(0.0), s.splat(0.0), x),
        Activation::Tanh => tanh(s, x),
    }
}
