//! Products with int8 weights: bytes are widened to 16 bits and multiplied by `vpmaddwd`, which
//! adds two products of 16 bits to an exact i32. (`vpmaddubsw` takes bytes, but saturates.)
//!
//! Of each group of 4 inputs the even two and the odd two make a pair each: an i16 lane of
//! weights or activations holds two bytes, and shifts take them apart.

use std::arch::x86_64::*;

use super::lanes::{Avx2, I32x16};
use crate::layout::{PackedI8, padded_k};
use crate::x86_64::quantized::{Eight, Epilogue, Planes, Sixteen};
use crate::x86_64::row_block;
use crate::{Activation, RowQuant};

/// 8 channels by 4 inputs, twice.
type Line = [[i8; 32]; 2];

/// Groups of 4 inputs that are widened at a time: 12 KB of activations for 6 rows.
const GROUPS: usize = 256;

/// The even and the odd bytes of a row's groups, each as two u16.
type Widened = [[u32; GROUPS]; 2];

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load(half: &[i8; 32]) -> __m256i {
    // SAFETY: the reference is to 32 bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn widen(groups: &[[u8; 4]], [even, odd]: &mut Widened) {
    for (group, (even, odd)) in groups.iter().zip(even.iter_mut().zip(odd)) {
        let group = u32::from_le_bytes(*group);
        *even = group & 0x00FF_00FF;
        *odd = (group >> 8) & 0x00FF_00FF;
    }
}

/// Adds the products of R widened rows with a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn tile<const R: usize>(
    rows: &[Widened; R],
    lines: &[Line],
    mut sums: [[__m256i; 2]; R],
) -> [[__m256i; 2]; R] {
    for (g, line) in lines.iter().take(GROUPS).enumerate() {
        let even = line
            .each_ref()
            .map(|half| _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(load(half))));
        for r in 0..R {
            let pair = _mm256_set1_epi32(rows[r][0][g] as i32);
            for p in 0..2 {
                sums[r][p] = _mm256_add_epi32(sums[r][p], _mm256_madd_epi16(pair, even[p]));
            }
        }
        let odd = line
            .each_ref()
            .map(|half| _mm256_srai_epi16::<8>(load(half)));
        for r in 0..R {
            let pair = _mm256_set1_epi32(rows[r][1][g] as i32);
            for p in 0..2 {
                sums[r][p] = _mm256_add_epi32(sums[r][p], _mm256_madd_epi16(pair, odd[p]));
            }
        }
    }
    sums
}

/// All outputs of rows `i..i + R`.
#[target_feature(enable = "avx2,fma,f16c")]
fn block<const N: usize, const R: usize>(
    a: &impl Planes<N>,
    epilogue: &Epilogue<'_>,
    i: usize,
    out: &mut [f32],
) {
    let groups = padded_k(epilogue.b.k()) / 4;
    let lines: &[Line] = epilogue.b.data().as_chunks().0.as_chunks().0;
    let planes = a.planes().map(|plane| plane.as_chunks().0);
    let mut widened = [[[[0; GROUPS]; 2]; R]; N];
    for channel in (0..epilogue.b.n()).step_by(16) {
        let panel = &lines[channel / 16 * groups..][..groups];
        let mut sums = [[[_mm256_setzero_si256(); 2]; R]; N];
        for (part, lines) in panel.chunks(GROUPS).enumerate() {
            for ((plane, widened), sums) in planes.iter().zip(&mut widened).zip(&mut sums) {
                // Rows of one part stay widened from the first panel on.
                if channel == 0 || groups > GROUPS {
                    for (r, row) in widened.iter_mut().enumerate() {
                        let start = (i + r) * groups + part * GROUPS;
                        widen(&plane[start..][..lines.len()], row);
                    }
                }
                *sums = tile(widened, lines, *sums);
            }
        }
        let sums = sums.map(|plane| plane.map(|row| [I32x16::new(row)]));
        epilogue.finish(Avx2::new(), a, &sums, i, channel, out);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gemm_i8(
    a: &[u8],
    params: &[RowQuant],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let (a, epilogue) = (Eight { a, params }, Epilogue { b, bias, act });
    row_block!(
        [6, 4, 2, 1],
        0..m,
        i,
        R,
        block::<1, R>(&a, &epilogue, i, out)
    );
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gemm_i8_a16(
    high: &[u8],
    low: &[u8],
    scales: &[f32],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let a = Sixteen { high, low, scales };
    let epilogue = Epilogue { b, bias, act };
    row_block!(
        [6, 4, 2, 1],
        0..m,
        i,
        R,
        block::<2, R>(&a, &epilogue, i, out)
    );
}
