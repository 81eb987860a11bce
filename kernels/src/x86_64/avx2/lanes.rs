//! Sixteen lanes in two registers.

use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Sub};

use half::f16;

use crate::generic::dot::Pairs;
use crate::generic::simd::{LANES, Simd};
use crate::ops::Operation;
use crate::x86_64::{unsafe_arith, unsafe_memory};

/// Proof that the CPU has this tier's features.
#[derive(Clone, Copy)]
pub(in crate::x86_64) struct Avx2(());

impl Avx2 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(in crate::x86_64) fn new() -> Self {
        Self(())
    }
}

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(in crate::x86_64) struct F32x16(__m256, __m256);

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy)]
pub(in crate::x86_64) struct I32x16(pub(in crate::x86_64) __m256i, pub(in crate::x86_64) __m256i);

macro_rules! operator {
    ($vector:ident: $($trait:ident $method:ident $intrinsic:ident),*) => {
        $(impl $trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                unsafe_arith!(Self($intrinsic(self.0, other.0), $intrinsic(self.1, other.1)))
            }
        })*
    };
}

operator!(F32x16: Add add _mm256_add_ps, Sub sub _mm256_sub_ps);
operator!(F32x16: Mul mul _mm256_mul_ps, Div div _mm256_div_ps);
operator!(I32x16: Add add _mm256_add_epi32, Sub sub _mm256_sub_epi32);
operator!(I32x16: Mul mul _mm256_mullo_epi32);

/// The two halves of 16 values.
#[inline(always)]
fn halves<T>(x: &[T; LANES]) -> (&[T; 8], &[T; 8]) {
    let (halves, _) = x.as_chunks();
    (&halves[0], &halves[1])
}

/// Columns of a square of 8 by 8.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn transpose_8([a, b, c, d, e, f, g, h]: [__m256; 8]) -> [__m256; 8] {
    let fours = |a, b, c, d| {
        let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xEE>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xEE>(ab_high, cd_high),
        ]
    };
    let ([p, q, r, s], [t, u, v, w]) = (fours(a, b, c, d), fours(e, f, g, h));
    [
        _mm256_permute2f128_ps::<0x20>(p, t),
        _mm256_permute2f128_ps::<0x20>(q, u),
        _mm256_permute2f128_ps::<0x20>(r, v),
        _mm256_permute2f128_ps::<0x20>(s, w),
        _mm256_permute2f128_ps::<0x31>(p, t),
        _mm256_permute2f128_ps::<0x31>(q, u),
        _mm256_permute2f128_ps::<0x31>(r, v),
        _mm256_permute2f128_ps::<0x31>(s, w),
    ]
}

/// `x * 2^n` by two multiplications, so that neither factor leaves f32's range.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scale_8(x: __m256, n: __m256) -> __m256 {
    let n = _mm256_cvtps_epi32(n);
    let half = _mm256_srai_epi32::<1>(n);
    let power = |n| {
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
            n,
            _mm256_set1_epi32(127),
        )))
    };
    let x = _mm256_mul_ps(x, power(half));
    _mm256_mul_ps(x, power(_mm256_sub_epi32(n, half)))
}

/// `factor * 2^n` from `n + ROUND_MAGIC`, whose lowest bits are those of `n`.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn power_8(shifted: __m256, factor: f32) -> __m256 {
    _mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted)),
        _mm256_set1_epi32(factor.to_bits() as i32),
    ))
}

/// The lowest bytes of 16 lanes, each clamped to 0..=255.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn to_bytes(low: __m256i, high: __m256i) -> [u8; LANES] {
    // Lanes 0-3 8-11 | 4-7 12-15, as packing works within halves.
    let words = _mm256_packs_epi32(low, high);
    let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
    let (low, high) = (
        _mm256_castsi256_si128(words),
        _mm256_extracti128_si256::<1>(words),
    );
    bytemuck::cast(_mm_packus_epi16(low, high))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn to_bytes_of_two(a: I32x16, b: I32x16) -> [u8; 2 * LANES] {
    let (a, b) = (_mm256_packs_epi32(a.0, a.1), _mm256_packs_epi32(b.0, b.1));
    // Four bytes of each part in turn, as packing works within halves.
    let parts = _mm256_packus_epi16(a, b);
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    bytemuck::cast(_mm256_permutevar8x32_epi32(parts, order))
}

impl Simd for Avx2 {
    type F32 = F32x16;
    type I32 = I32x16;
    type Dot = Pairs;
    // 12 registers of sums, 2 of weights, 1 of inputs, of 16.
    const TILE_ROWS: &'static [usize] = &[6, 4, 2, 1];
    const TILE_PANELS: usize = 1;
    // Never: widening costs nothing next to the products.
    const WIDEN_FROM: usize = usize::MAX;

    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        op.compute(Self::new())
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        let x = unsafe_arith!(_mm256_set1_ps(x));
        F32x16(x, x)
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        let (low, high) = halves(x);
        unsafe_memory!(F32x16(
            _mm256_loadu_ps(low.as_ptr()),
            _mm256_loadu_ps(high.as_ptr())
        ))
    }

    #[inline(always)]
    fn store(self, x: F32x16, to: &mut [f32; LANES]) {
        let (halves, _) = to.as_chunks_mut::<8>();
        unsafe_memory!({
            _mm256_storeu_ps(halves[0].as_mut_ptr(), x.0);
            _mm256_storeu_ps(halves[1].as_mut_ptr(), x.1);
        });
    }

    #[inline(always)]
    fn widen_f16(self, x: &[f16; LANES]) -> F32x16 {
        let (low, high) = halves(x);
        unsafe_memory!(F32x16(
            _mm256_cvtph_ps(_mm_loadu_si128(low.as_ptr().cast())),
            _mm256_cvtph_ps(_mm_loadu_si128(high.as_ptr().cast()))
        ))
    }

    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> F32x16 {
        let (low, high) = halves(x);
        unsafe_memory!(F32x16(
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(low.as_ptr().cast()))),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(high.as_ptr().cast())))
        ))
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x16 {
        let x = unsafe_arith!(_mm256_set1_epi32(x));
        I32x16(x, x)
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; LANES]) -> I32x16 {
        let (low, high) = halves(x);
        unsafe_memory!(I32x16(
            _mm256_loadu_si256(low.as_ptr().cast()),
            _mm256_loadu_si256(high.as_ptr().cast())
        ))
    }

    #[inline(always)]
    fn load_bytes(self, x: &[i8; 4 * LANES]) -> I32x16 {
        let (halves, _) = x.as_chunks::<32>();
        unsafe_memory!(I32x16(
            _mm256_loadu_si256(halves[0].as_ptr().cast()),
            _mm256_loadu_si256(halves[1].as_ptr().cast())
        ))
    }

    #[inline(always)]
    fn store_i32(self, x: I32x16, to: &mut [i32; LANES]) {
        let (halves, _) = to.as_chunks_mut::<8>();
        unsafe_memory!({
            _mm256_storeu_si256(halves[0].as_mut_ptr().cast(), x.0);
            _mm256_storeu_si256(halves[1].as_mut_ptr().cast(), x.1);
        });
    }

    #[inline(always)]
    fn to_f32(self, x: I32x16) -> F32x16 {
        unsafe_arith!(F32x16(_mm256_cvtepi32_ps(x.0), _mm256_cvtepi32_ps(x.1)))
    }

    #[inline(always)]
    fn round_even(self, x: F32x16) -> I32x16 {
        unsafe_arith!(I32x16(_mm256_cvtps_epi32(x.0), _mm256_cvtps_epi32(x.1)))
    }

    #[inline(always)]
    fn to_bytes(self, x: I32x16) -> [u8; LANES] {
        unsafe_arith!(to_bytes(x.0, x.1))
    }

    #[inline(always)]
    fn to_bytes_of_four(self, [a, b, c, d]: [I32x16; 4]) -> [u8; 4 * LANES] {
        bytemuck::cast([
            unsafe_arith!(to_bytes_of_two(a, b)),
            unsafe_arith!(to_bytes_of_two(c, d)),
        ])
    }

    #[inline(always)]
    fn second_bytes(self, x: I32x16) -> [u8; LANES] {
        unsafe_arith!(to_bytes(
            _mm256_srli_epi32::<8>(x.0),
            _mm256_srli_epi32::<8>(x.1)
        ))
    }

    #[inline(always)]
    fn low_bytes(self, x: I32x16) -> [u8; LANES] {
        unsafe_arith!({
            let mask = _mm256_set1_epi32(255);
            to_bytes(_mm256_and_si256(x.0, mask), _mm256_and_si256(x.1, mask))
        })
    }

    #[inline(always)]
    fn narrow(self, x: I32x16) -> [i16; LANES] {
        // Lanes 0-3 8-11 | 4-7 12-15, as packing works within halves.
        bytemuck::cast(unsafe_arith!(_mm256_permute4x64_epi64::<0b11_01_10_00>(
            _mm256_packs_epi32(x.0, x.1)
        )))
    }

    #[inline(always)]
    fn pair(self, low: I32x16, high: I32x16) -> I32x16 {
        unsafe_arith!(I32x16(
            _mm256_blend_epi16::<0b1010_1010>(low.0, _mm256_slli_epi32::<16>(high.0)),
            _mm256_blend_epi16::<0b1010_1010>(low.1, _mm256_slli_epi32::<16>(high.1))
        ))
    }

    #[inline(always)]
    fn even_bytes(self, x: I32x16) -> I32x16 {
        self.odd_bytes(unsafe_arith!(I32x16(
            _mm256_slli_epi16::<8>(x.0),
            _mm256_slli_epi16::<8>(x.1)
        )))
    }

    #[inline(always)]
    fn odd_bytes(self, x: I32x16) -> I32x16 {
        unsafe_arith!(I32x16(
            _mm256_srai_epi16::<8>(x.0),
            _mm256_srai_epi16::<8>(x.1)
        ))
    }

    #[inline(always)]
    fn add_dot(self, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        unsafe_arith!(I32x16(
            _mm256_add_epi32(sum.0, _mm256_madd_epi16(a.0, b.0)),
            _mm256_add_epi32(sum.1, _mm256_madd_epi16(a.1, b.1))
        ))
    }

    #[inline(always)]
    fn fma(self, a: F32x16, b: F32x16, c: F32x16) -> F32x16 {
        unsafe_arith!(F32x16(
            _mm256_fmadd_ps(a.0, b.0, c.0),
            _mm256_fmadd_ps(a.1, b.1, c.1)
        ))
    }

    #[inline(always)]
    fn min(self, a: F32x16, b: F32x16) -> F32x16 {
        unsafe_arith!(F32x16(_mm256_min_ps(a.0, b.0), _mm256_min_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn max(self, a: F32x16, b: F32x16) -> F32x16 {
        unsafe_arith!(F32x16(_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1)))
    }

    #[inline(always)]
    fn sqrt(self, x: F32x16) -> F32x16 {
        unsafe_arith!(F32x16(_mm256_sqrt_ps(x.0), _mm256_sqrt_ps(x.1)))
    }

    #[inline(always)]
    fn abs(self, x: F32x16) -> F32x16 {
        unsafe_arith!({
            let sign = _mm256_set1_ps(-0.0);
            F32x16(_mm256_andnot_ps(sign, x.0), _mm256_andnot_ps(sign, x.1))
        })
    }

    #[inline(always)]
    fn copysign(self, magnitude: F32x16, x: F32x16) -> F32x16 {
        unsafe_arith!({
            let sign = _mm256_set1_ps(-0.0);
            F32x16(
                _mm256_or_ps(magnitude.0, _mm256_and_ps(x.0, sign)),
                _mm256_or_ps(magnitude.1, _mm256_and_ps(x.1, sign)),
            )
        })
    }

    #[inline(always)]
    fn if_less(self, a: F32x16, b: F32x16, yes: F32x16, no: F32x16) -> F32x16 {
        unsafe_arith!(F32x16(
            _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(a.0, b.0)),
            _mm256_blendv_ps(no.1, yes.1, _mm256_cmp_ps::<_CMP_LT_OQ>(a.1, b.1))
        ))
    }

    #[inline(always)]
    fn any_nan(self, a: F32x16, b: F32x16) -> bool {
        let nan = unsafe_arith!(_mm256_or_ps(
            _mm256_cmp_ps::<_CMP_UNORD_Q>(a.0, b.0),
            _mm256_cmp_ps::<_CMP_UNORD_Q>(a.1, b.1)
        ));
        unsafe_arith!(_mm256_movemask_ps(nan)) != 0
    }

    #[inline(always)]
    fn scale(self, x: F32x16, n: F32x16) -> F32x16 {
        unsafe_arith!(F32x16(scale_8(x.0, n.0), scale_8(x.1, n.1)))
    }

    #[inline(always)]
    fn power_of_two(self, shifted: F32x16, factor: f32) -> F32x16 {
        unsafe_arith!(F32x16(
            power_8(shifted.0, factor),
            power_8(shifted.1, factor)
        ))
    }

    #[inline(always)]
    fn sum(self, x: F32x16) -> f32 {
        unsafe_arith!({
            let x = _mm256_add_ps(x.0, x.1);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn sum_i32(self, x: I32x16) -> i32 {
        unsafe_arith!({
            let x = _mm256_add_epi32(x.0, x.1);
            let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
            let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
            _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x)))
        })
    }

    #[inline(always)]
    fn largest(self, x: F32x16) -> f32 {
        unsafe_arith!({
            let x = _mm256_max_ps(x.0, x.1);
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn transpose(self, rows: [F32x16; LANES]) -> [F32x16; LANES] {
        let (top, bottom) = halves(&rows);
        unsafe_arith!({
            let (a, b) = (top.map(|x| x.0), top.map(|x| x.1));
            let (c, d) = (bottom.map(|x| x.0), bottom.map(|x| x.1));
            let (a, b) = (transpose_8(a), transpose_8(b));
            let (c, d) = (transpose_8(c), transpose_8(d));
            let mut columns = rows;
            for i in 0..8 {
                columns[i] = F32x16(a[i], c[i]);
                columns[8 + i] = F32x16(b[i], d[i]);
            }
            columns
        })
    }
}
