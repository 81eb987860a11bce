//! Products with int8 weights: `vpdpbusd`, which adds four products of bytes to an i32 without
//! saturating; a line of packed weights is its operand as it lies.

use std::arch::x86_64::*;

use super::lanes::{Avx512Vnni, I32x16};
use crate::layout::{PackedI8, padded_k};
use crate::x86_64::quantized::{Eight, Epilogue, Planes, Sixteen};
use crate::x86_64::{row_block, row_blocks};
use crate::{Activation, RowQuant};

/// 16 channels by 4 inputs.
type Line = [i8; 64];

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn load(line: &Line) -> __m512i {
    // SAFETY: the reference is to 64 bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

/// Sums of products of R rows with P panels.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn tile<const R: usize, const P: usize>(
    rows: [&[[u8; 4]]; R],
    panels: [&[Line]; P],
) -> [[I32x16; P]; R] {
    // Of one length, so that the loop needs no bounds checks.
    let groups = panels[0].len();
    let (rows, panels) = (rows.map(|x| &x[..groups]), panels.map(|x| &x[..groups]));
    let mut sums = [[_mm512_setzero_si512(); P]; R];
    for g in 0..groups {
        let weights = panels.map(|panel| load(&panel[g]));
        for r in 0..R {
            let four = _mm512_set1_epi32(i32::from_ne_bytes(rows[r][g]));
            for p in 0..P {
                sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], four, weights[p]);
            }
        }
    }
    sums.map(|row| row.map(|sum| I32x16::new(sum)))
}

/// Rows `i..i + R` of the P panels from `channel` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn block<const N: usize, const R: usize, const P: usize>(
    a: &impl Planes<N>,
    epilogue: &Epilogue<'_>,
    i: usize,
    channel: usize,
    out: &mut [f32],
) {
    let groups = padded_k(epilogue.b.k()) / 4;
    let lines = epilogue.b.data().as_chunks().0;
    let panels = std::array::from_fn(|p| &lines[(channel / 16 + p) * groups..][..groups]);
    let sums = a.planes().map(|plane| {
        let plane = plane.as_chunks().0;
        tile::<R, P>(
            std::array::from_fn(|r| &plane[(i + r) * groups..][..groups]),
            panels,
        )
    });
    epilogue.finish(Avx512Vnni::new(), a, &sums, i, channel, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, epilogue: &Epilogue<'_>, out: &mut [f32]) {
    let n = epilogue.b.n();
    for rows in row_blocks(m, padded_k(epilogue.b.k())) {
        for channel in (0..n).step_by(32) {
            if channel + 16 < n {
                row_block!(
                    [8, 4, 2, 1],
                    rows.clone(),
                    i,
                    R,
                    block::<N, R, 2>(a, epilogue, i, channel, out)
                );
            } else {
                row_block!(
                    [8, 4, 2, 1],
                    rows.clone(),
                    i,
                    R,
                    block::<N, R, 1>(a, epilogue, i, channel, out)
                );
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
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

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
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
