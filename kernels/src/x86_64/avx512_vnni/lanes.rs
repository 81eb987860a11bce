//! Sixteen lanes in one register.

use std::arch::{asm, x86_64::*};
use std::ops::{Add, Div, Mul, Sub};

use half::f16;

use crate::generic::dot::Dot;
use crate::generic::simd::{LANES, Simd};
use crate::ops::Operation;
use crate::x86_64::{unsafe_arith, unsafe_memory};

/// Proof that the CPU has this tier's features.
#[derive(Clone, Copy)]
pub(in crate::x86_64) struct Avx512Vnni(());

impl Avx512Vnni {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    pub(in crate::x86_64) fn new() -> Self {
        Self(())
    }
}

#[derive(Clone, Copy)]
pub(in crate::x86_64) struct F32x16(__m512);

#[derive(Clone, Copy)]
pub(in crate::x86_64) struct I32x16(__m512i);

macro_rules! operator {
    ($vector:ident: $($trait:ident $method:ident $intrinsic:ident),*) => {
        $(impl $trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(unsafe_arith!($intrinsic(self.0, other.0)))
            }
        })*
    };
}

operator!(F32x16: Add add _mm512_add_ps, Sub sub _mm512_sub_ps);
operator!(F32x16: Mul mul _mm512_mul_ps, Div div _mm512_div_ps);
operator!(I32x16: Add add _mm512_add_epi32, Sub sub _mm512_sub_epi32);
operator!(I32x16: Mul mul _mm512_mullo_epi32);

/// `_mm512_dpwssd_epi32`, in assembly. LLVM replaces the intrinsic by a product and a sum where it
/// takes the chain of sums for the bottleneck. In attention it is none, and two instructions take
/// twice as long.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_dot(mut sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the instruction changes nothing but the register named.
    unsafe {
        asm!(
            "vpdpwssd {sum}, {a}, {b}",
            sum = inout(zmm_reg) sum,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

/// 16 bytes of a register.
#[inline(always)]
fn bytes(x: __m128i) -> [u8; LANES] {
    bytemuck::cast(x)
}

impl I32x16 {
    /// Adds to each lane the four products of unsigned bytes of `a` and signed bytes of `b`.
    #[inline(always)]
    pub(super) fn add_dot_bytes(self, a: Self, b: Self) -> Self {
        Self(unsafe_arith!(_mm512_dpbusd_epi32(self.0, a.0, b.0)))
    }
}

/// Four bytes per lane: unsigned ones are multiplied by signed ones.
#[derive(Clone, Copy)]
pub(in crate::x86_64) struct Bytes;

impl Dot<Avx512Vnni> for Bytes {
    const WIDTH: usize = 4;
    const OFFSET: i32 = 128;

    #[inline(always)]
    fn add_dot(_: Avx512Vnni, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        sum.add_dot_bytes(a, b)
    }

    #[inline(always)]
    fn pack(s: Avx512Vnni, x: I32x16, to: &mut [i32]) {
        let lanes: [i32; 4] = bytemuck::cast(s.low_bytes(x));
        to.copy_from_slice(&lanes);
    }
}

impl Simd for Avx512Vnni {
    type F32 = F32x16;
    type I32 = I32x16;
    type Dot = Bytes;
    // 16 registers of sums, 2 of weights, 1 of inputs, of 32.
    const TILE_ROWS: &'static [usize] = &[8, 4, 2, 1];
    const TILE_PANELS: usize = 2;
    // In 512 bits, widening takes a product's slot.
    const WIDEN_FROM: usize = 24;

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        op.compute(Self::new())
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_set1_ps(x)))
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        F32x16(unsafe_memory!(_mm512_loadu_ps(x.as_ptr())))
    }

    #[inline(always)]
    fn store(self, x: F32x16, to: &mut [f32; LANES]) {
        unsafe_memory!(_mm512_storeu_ps(to.as_mut_ptr(), x.0));
    }

    #[inline(always)]
    fn widen_f16(self, x: &[f16; LANES]) -> F32x16 {
        F32x16(unsafe_memory!(_mm512_cvtph_ps(_mm256_loadu_si256(
            x.as_ptr().cast()
        ))))
    }

    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> F32x16 {
        F32x16(unsafe_memory!(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(
            _mm_loadu_si128(x.as_ptr().cast())
        ))))
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x16 {
        I32x16(unsafe_arith!(_mm512_set1_epi32(x)))
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; LANES]) -> I32x16 {
        I32x16(unsafe_memory!(_mm512_loadu_si512(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn load_bytes(self, x: &[i8; 4 * LANES]) -> I32x16 {
        I32x16(unsafe_memory!(_mm512_loadu_si512(x.as_ptr().cast())))
    }

    #[inline(always)]
    fn store_i32(self, x: I32x16, to: &mut [i32; LANES]) {
        unsafe_memory!(_mm512_storeu_si512(to.as_mut_ptr().cast(), x.0));
    }

    #[inline(always)]
    fn to_f32(self, x: I32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_cvtepi32_ps(x.0)))
    }

    #[inline(always)]
    fn round_even(self, x: F32x16) -> I32x16 {
        I32x16(unsafe_arith!(_mm512_cvtps_epi32(x.0)))
    }

    #[inline(always)]
    fn to_bytes(self, x: I32x16) -> [u8; LANES] {
        bytes(unsafe_arith!(_mm512_cvtusepi32_epi8(_mm512_max_epi32(
            x.0,
            _mm512_setzero_si512()
        ))))
    }

    #[inline(always)]
    fn to_bytes_of_four(self, [a, b, c, d]: [I32x16; 4]) -> [u8; 4 * LANES] {
        let mut bytes = [0_u8; 4 * LANES];
        unsafe_memory!({
            let (low, high) = (_mm512_packs_epi32(a.0, b.0), _mm512_packs_epi32(c.0, d.0));
            // Four bytes of each vector in turn, as packing works within quarters.
            let parts = _mm512_packus_epi16(low, high);
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let parts = _mm512_permutexvar_epi32(order, parts);
            _mm512_storeu_si512(bytes.as_mut_ptr().cast(), parts);
        });
        bytes
    }

    #[inline(always)]
    fn second_bytes(self, x: I32x16) -> [u8; LANES] {
        bytes(unsafe_arith!(_mm512_cvtepi32_epi8(_mm512_srli_epi32::<8>(
            x.0
        ))))
    }

    #[inline(always)]
    fn low_bytes(self, x: I32x16) -> [u8; LANES] {
        bytes(unsafe_arith!(_mm512_cvtepi32_epi8(x.0)))
    }

    #[inline(always)]
    fn narrow(self, x: I32x16) -> [i16; LANES] {
        bytemuck::cast(unsafe_arith!(_mm512_cvtepi32_epi16(x.0)))
    }

    #[inline(always)]
    fn pair(self, low: I32x16, high: I32x16) -> I32x16 {
        I32x16(unsafe_arith!(_mm512_mask_blend_epi16(
            0xAAAA_AAAA,
            low.0,
            _mm512_slli_epi32::<16>(high.0)
        )))
    }

    #[inline(always)]
    fn even_bytes(self, x: I32x16) -> I32x16 {
        self.odd_bytes(I32x16(unsafe_arith!(_mm512_slli_epi16::<8>(x.0))))
    }

    #[inline(always)]
    fn odd_bytes(self, x: I32x16) -> I32x16 {
        I32x16(unsafe_arith!(_mm512_srai_epi16::<8>(x.0)))
    }

    #[inline(always)]
    fn add_dot(self, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        I32x16(unsafe_arith!(add_dot(sum.0, a.0, b.0)))
    }

    #[inline(always)]
    fn fma(self, a: F32x16, b: F32x16, c: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_fmadd_ps(a.0, b.0, c.0)))
    }

    #[inline(always)]
    fn min(self, a: F32x16, b: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_min_ps(a.0, b.0)))
    }

    #[inline(always)]
    fn max(self, a: F32x16, b: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_max_ps(a.0, b.0)))
    }

    #[inline(always)]
    fn sqrt(self, x: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_sqrt_ps(x.0)))
    }

    #[inline(always)]
    fn abs(self, x: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_abs_ps(x.0)))
    }

    #[inline(always)]
    fn copysign(self, magnitude: F32x16, x: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_or_ps(
            magnitude.0,
            _mm512_and_ps(x.0, _mm512_set1_ps(-0.0))
        )))
    }

    #[inline(always)]
    fn if_less(self, a: F32x16, b: F32x16, yes: F32x16, no: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_mask_blend_ps(
            _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a.0, b.0),
            no.0,
            yes.0
        )))
    }

    #[inline(always)]
    fn any_nan(self, a: F32x16, b: F32x16) -> bool {
        unsafe_arith!(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a.0, b.0)) != 0
    }

    #[inline(always)]
    fn scale(self, x: F32x16, n: F32x16) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_scalef_ps(x.0, n.0)))
    }

    #[inline(always)]
    fn power_of_two(self, shifted: F32x16, factor: f32) -> F32x16 {
        F32x16(unsafe_arith!(_mm512_castsi512_ps(_mm512_add_epi32(
            _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0)),
            _mm512_set1_epi32(factor.to_bits() as i32)
        ))))
    }

    #[inline(always)]
    fn sum(self, x: F32x16) -> f32 {
        unsafe_arith!({
            let x = _mm256_add_ps(
                _mm512_castps512_ps256(x.0),
                _mm512_extractf32x8_ps::<1>(x.0),
            );
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn sum_i32(self, x: I32x16) -> i32 {
        unsafe_arith!(_mm512_reduce_add_epi32(x.0))
    }

    #[inline(always)]
    fn largest(self, x: F32x16) -> f32 {
        unsafe_arith!({
            let x = _mm256_max_ps(
                _mm512_castps512_ps256(x.0),
                _mm512_extractf32x8_ps::<1>(x.0),
            );
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
        })
    }

    #[inline(always)]
    fn transpose(self, rows: [F32x16; LANES]) -> [F32x16; LANES] {
        let mut x = rows;
        // Squares of 2 by 2 within squares of 4 by 4, then those, by registers' quarters.
        for i in (0..16).step_by(4) {
            let [a, b, c, d] = [x[i].0, x[i + 1].0, x[i + 2].0, x[i + 3].0];
            unsafe_arith!({
                let (ab, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                x[i].0 = _mm512_shuffle_ps::<0x44>(ab, cd);
                x[i + 1].0 = _mm512_shuffle_ps::<0xEE>(ab, cd);
                x[i + 2].0 = _mm512_shuffle_ps::<0x44>(ab_high, cd_high);
                x[i + 3].0 = _mm512_shuffle_ps::<0xEE>(ab_high, cd_high);
            });
        }
        // x[4 q + c] has in quarter p the rows 4 q .. 4 q + 3 of column 4 p + c.
        let mut columns = rows;
        for c in 0..4 {
            let [a, b, d, e] = [x[c].0, x[4 + c].0, x[8 + c].0, x[12 + c].0];
            unsafe_arith!({
                let even = _mm512_shuffle_f32x4::<0x88>(a, b);
                let odd = _mm512_shuffle_f32x4::<0xDD>(a, b);
                let even_low = _mm512_shuffle_f32x4::<0x88>(d, e);
                let odd_low = _mm512_shuffle_f32x4::<0xDD>(d, e);
                columns[c].0 = _mm512_shuffle_f32x4::<0x88>(even, even_low);
                columns[4 + c].0 = _mm512_shuffle_f32x4::<0x88>(odd, odd_low);
                columns[8 + c].0 = _mm512_shuffle_f32x4::<0xDD>(even, even_low);
                columns[12 + c].0 = _mm512_shuffle_f32x4::<0xDD>(odd, odd_low);
            });
        }
        columns
    }
}
