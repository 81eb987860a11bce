//! Products with int8 weights: `vpdpbusd`, which adds four products of bytes to an i32 without
//! saturating; a line of packed weights is two of its operands as it lies.

use std::arch::x86_64::_mm256_dpbusd_avx_epi32;

use crate::layout::{PackedI8, padded_k};
use crate::x86_64::avx2::lanes::{Avx2, I32x16};
use crate::x86_64::quantized::{Eight, Epilogue, Planes, Sixteen};
use crate::x86_64::simd::Simd;
use crate::x86_64::{row_block, row_blocks};
use crate::{Activation, RowQuant};

/// int8 weights of 16 channels for 4 inputs.
type Line = [i8; 64];

/// A proof that the CPU has this tier's features, besides the vectors' own.
#[derive(Clone, Copy)]
struct AvxVnni(Avx2);

impl AvxVnni {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
    fn new() -> Self {
        Self(Avx2::new())
    }

    /// Adds to each lane of `sum` the four products of unsigned bytes of `a` and signed ones of `b`.
    #[inline(always)]
    fn add_dot(self, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        // SAFETY: this token comes only from functions compiled for the features.
        unsafe {
            I32x16(
                _mm256_dpbusd_avx_epi32(sum.0, a.0, b.0),
                _mm256_dpbusd_avx_epi32(sum.1, a.1, b.1),
            )
        }
    }
}

/// Sums of products of R rows, one behind the other, with a panel. 6 rows: 12 registers of sums, 2
/// of weights, 1 of activations, of 16.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn tile<const R: usize>(rows: &[[u8; 4]], panel: &[Line]) -> [[I32x16; 1]; R] {
    let t = AvxVnni::new();
    let groups = panel.len();
    assert_eq!(rows.len(), R * groups);
    let mut sums = [[t.0.splat_i32(0)]; R];
    for (g, line) in panel.iter().enumerate() {
        let weights = t.0.load_bytes(line);
        for (r, [sum]) in sums.iter_mut().enumerate() {
            // SAFETY: r < R and g < groups. The compiler does not see that, and would check.
            let four = unsafe { rows.get_unchecked(r * groups + g) };
            *sum = t.add_dot(*sum, t.0.splat_i32(i32::from_ne_bytes(*four)), weights);
        }
    }
    sums
}

/// Rows `i..i + R` of the panel from `channel` on.
#[inline(always)]
fn block<const N: usize, const R: usize>(
    t: AvxVnni,
    a: &impl Planes<N>,
    epilogue: &Epilogue<'_>,
    i: usize,
    channel: usize,
    out: &mut [f32],
) {
    let groups = padded_k(epilogue.b.k()) / 4;
    let lines: &[Line] = epilogue.b.data().as_chunks().0;
    let panel = &lines[channel / 16 * groups..][..groups];
    let mut sums = [[[t.0.splat_i32(0)]; R]; N];
    for (plane, sums) in a.planes().iter().zip(&mut sums) {
        let rows = &plane.as_chunks().0[i * groups..][..R * groups];
        // SAFETY: the token comes only from functions compiled for the features.
        *sums = unsafe { tile(rows, panel) };
    }
    epilogue.finish(t.0, a, &sums, i, channel, out);
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, epilogue: &Epilogue<'_>, out: &mut [f32]) {
    let t = AvxVnni::new();
    for rows in row_blocks(m, padded_k(epilogue.b.k())) {
        for channel in (0..epilogue.b.n()).step_by(16) {
            row_block!(
                [6, 4, 2, 1],
                rows.clone(),
                i,
                R,
                block::<N, R>(t, a, epilogue, i, channel, out)
            );
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(super) fn gemm_i8(
    a: &[u8],
    params: &[RowQuant],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    product(&Eight { a, params }, m, &Epilogue { b, bias, act }, out);
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
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
    product(&a, m, &Epilogue { b, bias, act }, out);
}
