//! [`crate::math`], lane by lane: the same operations in the same order.

use bytemuck::cast;
use wide::{f32x8, i32x8};

use crate::Activation;
use crate::math::{
    ERF_ONE, ERF_P, ERF_Q, EXP, EXP_MAX, EXP_MIN, GELU_CUBIC, LN2_HIGH, LN2_LOW, ROUND_MAGIC,
    SQRT_2_OVER_PI, TANH, TANH_SMALL,
};

/// Rounds to the nearest integer, ties to even; see [`crate::math::round_even`].
#[inline(always)]
pub(super) fn round_even(x: f32x8) -> i32x8 {
    let magic = f32x8::splat(ROUND_MAGIC);
    cast::<_, i32x8>(x + magic) - cast::<_, i32x8>(magic)
}

#[inline(always)]
fn polynomial<const N: usize>(x: f32x8, coefficients: &[f32; N]) -> f32x8 {
    let mut sum = f32x8::splat(coefficients[N - 1]);
    for &c in coefficients[..N - 1].iter().rev() {
        sum = sum * x + f32x8::splat(c);
    }
    sum
}

#[inline(always)]
fn power_of_two(n: i32x8) -> f32x8 {
    cast((n + i32x8::splat(127)) << 23)
}

/// `magnitude` with the sign of `x`; `magnitude` is not negative.
#[inline(always)]
fn copysign(magnitude: f32x8, x: f32x8) -> f32x8 {
    magnitude | (x & f32x8::splat(-0.0))
}

#[inline(always)]
fn abs(x: f32x8) -> f32x8 {
    x & cast::<_, f32x8>(i32x8::splat(i32::MAX))
}

#[inline(always)]
pub(super) fn exp(x: f32x8) -> f32x8 {
    let (max, min) = (f32x8::splat(EXP_MAX), f32x8::splat(EXP_MIN));
    let x = x.simd_gt(max).select(max, x);
    let x = x.simd_lt(min).select(min, x);
    let magic = f32x8::splat(ROUND_MAGIC);
    let shifted = x * f32x8::splat(std::f32::consts::LOG2_E) + magic;
    let n = cast::<_, i32x8>(shifted) - cast::<_, i32x8>(magic);
    let n_float = shifted - magic;
    let r = (x - n_float * f32x8::splat(LN2_HIGH)) - n_float * f32x8::splat(LN2_LOW);
    let value = f32x8::splat(1.0) + (r + (r * r) * polynomial(r, &EXP));
    let half = n >> 1;
    (value * power_of_two(half)) * power_of_two(n - half)
}

#[inline(always)]
fn sigmoid(x: f32x8) -> f32x8 {
    let one = f32x8::splat(1.0);
    one / (one + exp(-x))
}

#[inline(always)]
fn tanh(x: f32x8) -> f32x8 {
    let one = f32x8::splat(1.0);
    let magnitude = abs(x);
    let square = x * x;
    let small = x + (x * square) * polynomial(square, &TANH);
    let large = one - f32x8::splat(2.0) / (exp(magnitude + magnitude) + one);
    magnitude
        .simd_lt(f32x8::splat(TANH_SMALL))
        .select(small, copysign(large, x))
}

#[inline(always)]
fn erf(x: f32x8) -> f32x8 {
    let square = x * x;
    let value = (x * polynomial(square, &ERF_P)) / polynomial(square, &ERF_Q);
    let saturated = abs(x).simd_ge(f32x8::splat(ERF_ONE));
    saturated.select(copysign(f32x8::splat(1.0), x), value)
}

#[inline(always)]
fn gelu(x: f32x8) -> f32x8 {
    let one = f32x8::splat(1.0);
    x * (f32x8::splat(0.5) * (one + erf(x * f32x8::splat(std::f32::consts::FRAC_1_SQRT_2))))
}

#[inline(always)]
fn gelu_tanh(x: f32x8) -> f32x8 {
    let u = f32x8::splat(SQRT_2_OVER_PI) * (x + f32x8::splat(GELU_CUBIC) * ((x * x) * x));
    x * sigmoid(u + u)
}

#[inline(always)]
fn relu(x: f32x8) -> f32x8 {
    x.simd_lt(f32x8::splat(0.0)).select(f32x8::splat(0.0), x)
}

/// [`Activation::apply`] to 8 values.
#[inline(always)]
pub(super) fn apply(act: Activation, x: f32x8) -> f32x8 {
    match act {
        Activation::None => x,
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_tanh(x),
        Activation::Relu => relu(x),
        Activation::Tanh => tanh(x),
    }
}
