//! Sixteen lanes on the `wide` crate: four registers of SSE2, NEON or simd128; fewer and wider
//! registers where the build enables them.
//!
//! Only `wide`'s plain operations appear here: `+ - * /`, comparisons, `select` and integer
//! operations. Its `mul_add` fuses, its `min` and `max` differ between targets for NaN (but see
//! [`X86`]), and its `round_int` breaks ties differently on some targets, so none of these is used.

use std::array::from_fn;
use std::ops::{Add, Div, Mul, Sub};

use bytemuck::cast;
use half::f16;
use half::slice::HalfFloatSliceExt;
use wide::{f32x8, i16x8, i16x16, i32x8, u8x16};

use crate::generic::dot::Pairs;
use crate::generic::simd::{LANES, Simd};
use crate::math::ROUND_MAGIC;
use crate::ops::Operation;

/// x86 has instructions for `a < b ? a : b` and `a > b ? a : b`; there `wide`'s `fast_min` and
/// `fast_max` are those. On other targets they differ where one value is NaN.
const X86: bool = cfg!(any(target_arch = "x86", target_arch = "x86_64"));

/// The token of this tier, which needs no features.
#[derive(Clone, Copy)]
pub(super) struct Portable;

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(super) struct F32x16([f32x8; 2]);

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(super) struct I32x16([i32x8; 2]);

macro_rules! operator {
    ($vector:ident: $($trait:ident $method:ident $op:tt),*) => {
        $(impl $trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self([self.0[0] $op other.0[0], self.0[1] $op other.0[1]])
            }
        })*
    };
}

operator!(F32x16: Add add +, Sub sub -, Mul mul *, Div div /);
operator!(I32x16: Add add +, Sub sub -, Mul mul *);

/// The two halves of 16 values.
#[inline(always)]
fn halves<T: Copy>(x: &[T; LANES]) -> [[T; 8]; 2] {
    let (halves, _) = x.as_chunks();
    [halves[0], halves[1]]
}

/// 16 integers to bytes, clamped to 0..=255.
#[inline(always)]
fn to_bytes(x: [i32x8; 2]) -> [u8; LANES] {
    let [low, high] = x.map(i16x8::from_i32x8_saturate);
    u8x16::narrow_i16x8(low, high).to_array()
}

impl Simd for Portable {
    type F32 = F32x16;
    type I32 = I32x16;
    type Dot = Pairs;
    // 8 registers of sums, 4 of weights, 1 of inputs, of SSE2's 16.
    const TILE_ROWS: &'static [usize] = &[2, 1];
    const TILE_PANELS: usize = 1;
    const WIDEN_FROM: usize = 7;

    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        op.compute(Self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        F32x16([f32x8::splat(x); 2])
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        F32x16(halves(x).map(f32x8::new))
    }

    #[inline(always)]
    fn store(self, x: F32x16, to: &mut [f32; LANES]) {
        let (halves, _) = to.as_chunks_mut();
        (halves[0], halves[1]) = (x.0[0].to_array(), x.0[1].to_array());
    }

    #[inline(always)]
    fn widen_f16(self, x: &[f16; LANES]) -> F32x16 {
        let mut wide = [0.0; LANES];
        x.convert_to_f32_slice(&mut wide);
        self.load(&wide)
    }

    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> F32x16 {
        self.to_f32(I32x16(halves(x).map(|x| cast(x.map(i32::from)))))
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x16 {
        I32x16([i32x8::splat(x); 2])
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; LANES]) -> I32x16 {
        I32x16(halves(x).map(i32x8::new))
    }

    #[inline(always)]
    fn load_bytes(self, x: &[i8; 4 * LANES]) -> I32x16 {
        self.load_i32(&cast(*x))
    }

    #[inline(always)]
    fn store_i32(self, x: I32x16, to: &mut [i32; LANES]) {
        let (halves, _) = to.as_chunks_mut();
        (halves[0], halves[1]) = (x.0[0].to_array(), x.0[1].to_array());
    }

    #[inline(always)]
    fn to_f32(self, x: I32x16) -> F32x16 {
        F32x16(x.0.map(i32x8::round_float))
    }

    #[inline(always)]
    fn round_even(self, x: F32x16) -> I32x16 {
        let magic = f32x8::splat(ROUND_MAGIC);
        I32x16(x.0.map(|x| cast::<_, i32x8>(x + magic) - cast::<_, i32x8>(magic)))
    }

    #[inline(always)]
    fn to_bytes(self, x: I32x16) -> [u8; LANES] {
        to_bytes(x.0)
    }

    #[inline(always)]
    fn to_bytes_of_four(self, x: [I32x16; 4]) -> [u8; 4 * LANES] {
        cast(x.map(|x| to_bytes(x.0)))
    }

    #[inline(always)]
    fn second_bytes(self, x: I32x16) -> [u8; LANES] {
        to_bytes(x.0.map(|x| x >> 8))
    }

    #[inline(always)]
    fn low_bytes(self, x: I32x16) -> [u8; LANES] {
        to_bytes(x.0.map(|x| x & i32x8::splat(255)))
    }

    #[inline(always)]
    fn narrow(self, x: I32x16) -> [i16; LANES] {
        let [low, high] = x.0.map(i16x8::from_i32x8_saturate);
        cast([low, high])
    }

    #[inline(always)]
    fn pair(self, low: I32x16, high: I32x16) -> I32x16 {
        let mask = i32x8::splat(0xFFFF);
        I32x16(from_fn(|i| (low.0[i] & mask) | (high.0[i] << 16)))
    }

    #[inline(always)]
    fn even_bytes(self, x: I32x16) -> I32x16 {
        I32x16(x.0.map(|x| cast((cast::<_, i16x16>(x) << 8) >> 8)))
    }

    #[inline(always)]
    fn odd_bytes(self, x: I32x16) -> I32x16 {
        I32x16(x.0.map(|x| cast(cast::<_, i16x16>(x) >> 8)))
    }

    #[inline(always)]
    fn add_dot(self, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        let dot = |i: usize| cast::<_, i16x16>(a.0[i]).dot(cast(b.0[i]));
        I32x16(from_fn(|i| sum.0[i] + dot(i)))
    }

    #[inline(always)]
    fn fma(self, a: F32x16, b: F32x16, c: F32x16) -> F32x16 {
        c + a * b
    }

    #[inline(always)]
    fn min(self, a: F32x16, b: F32x16) -> F32x16 {
        F32x16(from_fn(|i| {
            if X86 {
                a.0[i].fast_min(b.0[i])
            } else {
                a.0[i].simd_lt(b.0[i]).select(a.0[i], b.0[i])
            }
        }))
    }

    #[inline(always)]
    fn max(self, a: F32x16, b: F32x16) -> F32x16 {
        F32x16(from_fn(|i| {
            if X86 {
                a.0[i].fast_max(b.0[i])
            } else {
                a.0[i].simd_gt(b.0[i]).select(a.0[i], b.0[i])
            }
        }))
    }

    #[inline(always)]
    fn sqrt(self, x: F32x16) -> F32x16 {
        F32x16(x.0.map(f32x8::sqrt))
    }

    #[inline(always)]
    fn abs(self, x: F32x16) -> F32x16 {
        F32x16(x.0.map(|x| x & cast::<_, f32x8>(i32x8::splat(i32::MAX))))
    }

    #[inline(always)]
    fn copysign(self, magnitude: F32x16, x: F32x16) -> F32x16 {
        let sign = f32x8::splat(-0.0);
        F32x16(from_fn(|i| magnitude.0[i] | (x.0[i] & sign)))
    }

    #[inline(always)]
    fn if_less(self, a: F32x16, b: F32x16, yes: F32x16, no: F32x16) -> F32x16 {
        F32x16(from_fn(|i| {
            a.0[i].simd_lt(b.0[i]).select(yes.0[i], no.0[i])
        }))
    }

    #[inline(always)]
    fn any_nan(self, a: F32x16, b: F32x16) -> bool {
        let nan = |x: f32x8| x.simd_ne(x);
        (nan(a.0[0]) | nan(a.0[1]) | nan(b.0[0]) | nan(b.0[1])).any()
    }

    #[inline(always)]
    fn scale(self, x: F32x16, n: F32x16) -> F32x16 {
        let power = |n: i32x8| cast::<_, f32x8>((n + i32x8::splat(127)) << 23);
        let n = self.round_even(n);
        F32x16(from_fn(|i| {
            let half = n.0[i] >> 1;
            (x.0[i] * power(half)) * power(n.0[i] - half)
        }))
    }

    #[inline(always)]
    fn power_of_two(self, shifted: F32x16, factor: f32) -> F32x16 {
        let factor = i32x8::splat(factor.to_bits() as i32);
        F32x16(
            shifted
                .0
                .map(|x| cast((cast::<_, i32x8>(x) << 23) + factor)),
        )
    }

    #[inline(always)]
    fn sum(self, x: F32x16) -> f32 {
        let [a, b, c, d, e, f, g, h] = (x.0[0] + x.0[1]).to_array();
        let [a, b, c, d] = [a + e, b + f, c + g, d + h];
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn sum_i32(self, x: I32x16) -> i32 {
        let x = (x.0[0] + x.0[1]).to_array();
        x.into_iter().fold(0, i32::wrapping_add)
    }

    #[inline(always)]
    fn largest(self, x: F32x16) -> f32 {
        let x = x.0[1].simd_gt(x.0[0]).select(x.0[1], x.0[0]);
        x.to_array()
            .into_iter()
            .reduce(|a, b| if b > a { b } else { a })
            .unwrap_or_default()
    }

    #[inline(always)]
    fn transpose(self, rows: [F32x16; LANES]) -> [F32x16; LANES] {
        let (top, bottom): ([_; 8], [_; 8]) = (from_fn(|i| rows[i].0), from_fn(|i| rows[8 + i].0));
        let [a, b] = [0, 1].map(|half| f32x8::transpose(top.map(|x: [f32x8; 2]| x[half])));
        let [c, d] = [0, 1].map(|half| f32x8::transpose(bottom.map(|x: [f32x8; 2]| x[half])));
        from_fn(|i| match i {
            0..8 => F32x16([a[i], c[i]]),
            _ => F32x16([b[i - 8], d[i - 8]]),
        })
    }
}
