//! Sixteen lanes, as a tier computes with them.
//!
//! Sums of floats go by 16 lanes (see the crate's rules), so 16 is every tier's step: one AVX-512
//! register or two AVX ones. Code that is generic over this trait is `#[inline(always)]`, down to
//! the intrinsics: it becomes part of [`Simd::vectorize`] and is compiled for the tier's features.

use std::ops::{Add, Div, Mul, Sub};

use half::f16;

use super::dot::Dot;
use crate::ops::Operation;

/// Elements of a vector.
pub(crate) const LANES: usize = 16;

/// Most rows of a tile; see [`Simd::TILE_ROWS`].
pub(crate) const MAX_TILE_ROWS: usize = 8;

/// Proof that the CPU has a tier's features: a value can only be made inside a function that was
/// compiled for them. The vectors come from its methods, and prove the same.
///
/// Operations are IEEE's on each lane, in the default rounding mode; none is fused or estimated,
/// except [`fma`](Simd::fma).
pub(crate) trait Simd: Copy {
    /// 16 floats.
    type F32: Copy
        + Add<Output = Self::F32>
        + Sub<Output = Self::F32>
        + Mul<Output = Self::F32>
        + Div<Output = Self::F32>;
    /// 16 integers; additions and products wrap.
    type I32: Copy + Add<Output = Self::I32> + Sub<Output = Self::I32> + Mul<Output = Self::I32>;
    /// How attention's queries and keys are multiplied.
    type Dot: Dot<Self>;

    /// The numbers of rows that a product's tile may have, largest first, down to 1: the largest
    /// has as many sums as fit in the registers next to the weights. See
    /// [`row_tiles!`](super::row_tiles).
    const TILE_ROWS: &'static [usize];
    /// Panels that a product's tile has: 1 or 2.
    const TILE_PANELS: usize;
    /// f16 weights are widened once for all rows if there are at least this many rows, and once
    /// per tile otherwise.
    const WIDEN_FROM: usize;

    /// Computes an operation in a function that is compiled for the tier's features.
    ///
    /// # Safety
    /// The CPU has the features.
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output;

    /// Computes an operation in a function of its own, for what is too large to be inlined wherever
    /// it is used.
    #[inline(always)]
    fn call<O: Operation>(self, op: O) -> O::Output {
        // SAFETY: `self` proves the features.
        unsafe { Self::vectorize(op) }
    }

    fn splat(self, x: f32) -> Self::F32;
    fn load(self, x: &[f32; LANES]) -> Self::F32;
    fn store(self, x: Self::F32, to: &mut [f32; LANES]);
    fn widen_f16(self, x: &[f16; LANES]) -> Self::F32;
    fn widen_i8(self, x: &[i8; LANES]) -> Self::F32;

    fn splat_i32(self, x: i32) -> Self::I32;
    fn load_i32(self, x: &[i32; LANES]) -> Self::I32;
    /// 16 lanes of 4 bytes each.
    fn load_bytes(self, x: &[i8; 4 * LANES]) -> Self::I32;
    fn store_i32(self, x: Self::I32, to: &mut [i32; LANES]);
    /// Rounded to the nearest float, ties to even.
    fn to_f32(self, x: Self::I32) -> Self::F32;
    /// Rounded to the nearest integer, ties to even, for magnitudes up to 2^22; unspecified for
    /// others.
    fn round_even(self, x: Self::F32) -> Self::I32;
    /// Clamped to 0..=255.
    fn to_bytes(self, x: Self::I32) -> [u8; LANES];
    /// [`to_bytes`](Simd::to_bytes) of four vectors, for lanes that fit in an i16.
    fn to_bytes_of_four(self, x: [Self::I32; 4]) -> [u8; 4 * LANES];
    /// The second byte of each lane, for lanes from 0 to 65535.
    fn second_bytes(self, x: Self::I32) -> [u8; LANES];
    /// The lowest byte of each lane.
    fn low_bytes(self, x: Self::I32) -> [u8; LANES];

    /// Each lane as an i16, for lanes that fit.
    fn narrow(self, x: Self::I32) -> [i16; LANES];
    /// Lanes of two i16: the lower half of each lane of `low`, and of `high`.
    fn pair(self, low: Self::I32, high: Self::I32) -> Self::I32;
    /// Bytes 0 and 2 of each lane, widened to two i16.
    fn even_bytes(self, x: Self::I32) -> Self::I32;
    /// Bytes 1 and 3 of each lane, widened to two i16.
    fn odd_bytes(self, x: Self::I32) -> Self::I32;
    /// Adds to each lane of `sum` the two products of i16 of `a` and `b`; wraps.
    fn add_dot(self, sum: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;

    /// `c + a * b`, rounded once where the CPU can: for the products of f32 and f16 files only.
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `a < b ? a : b`, so `b` where one is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a > b ? a : b`, so `b` where one is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sqrt(self, x: Self::F32) -> Self::F32;
    fn abs(self, x: Self::F32) -> Self::F32;
    /// `magnitude`, which is not negative, with the sign of `x`.
    fn copysign(self, magnitude: Self::F32, x: Self::F32) -> Self::F32;
    /// `a < b ? yes : no`.
    fn if_less(self, a: Self::F32, b: Self::F32, yes: Self::F32, no: Self::F32) -> Self::F32;
    /// Whether any lane of the two is NaN.
    fn any_nan(self, a: Self::F32, b: Self::F32) -> bool;
    /// `x * 2^n` rounded once, for integers `-152 <= n <= 128` (or NaN) and `0.5 < x < 2`.
    fn scale(self, x: Self::F32, n: Self::F32) -> Self::F32;
    /// `factor * 2^n` for integers given as `n + ROUND_MAGIC`, where `factor` is a power of two and
    /// the result is normal; unspecified for others.
    fn power_of_two(self, shifted: Self::F32, factor: f32) -> Self::F32;
    /// Lanes 8 apart are added, then 4, 2 and 1 apart.
    fn sum(self, x: Self::F32) -> f32;
    /// The sum of the lanes; wraps.
    fn sum_i32(self, x: Self::I32) -> i32;
    /// The largest lane; none is NaN.
    fn largest(self, x: Self::F32) -> f32;
    /// The columns of a square of 16 by 16. Moves bits, of integers too.
    fn transpose(self, rows: [Self::F32; LANES]) -> [Self::F32; LANES];

    /// The first 16 values; a shorter slice is filled up with `fill`.
    #[inline(always)]
    fn load_part(self, x: &[f32], fill: f32) -> Self::F32 {
        self.load(&padded(x, fill))
    }

    /// Stores the first values, as many of the 16 as `to` has room for.
    #[inline(always)]
    fn store_part(self, x: Self::F32, to: &mut [f32]) {
        match to.first_chunk_mut() {
            Some(chunk) => self.store(x, chunk),
            None => {
                let mut all = [0.0; LANES];
                self.store(x, &mut all);
                to.copy_from_slice(&all[..to.len()]);
            }
        }
    }
}

/// The first 16 values; a shorter slice is filled up with `fill`.
#[inline(always)]
pub(crate) fn padded<T: Copy>(x: &[T], fill: T) -> [T; LANES] {
    match x.first_chunk() {
        Some(chunk) => *chunk,
        None => {
            let mut padded = [fill; LANES];
            padded[..x.len()].copy_from_slice(x);
            padded
        }
    }
}
