//! Products with int8 weights: `vpdpbusd`, which adds four products of bytes to an i32 without
//! saturating; a line of packed weights is its operand as it lies.

use super::lanes::{Avx512Vnni, I32x16};
use crate::generic::{cut, strips};
use crate::layout::{PackedI8, padded_k};
use crate::x86_64::quantized::{Eight, Epilogue, Planes, Sixteen};
use crate::x86_64::simd::Simd;
use crate::x86_64::{row_block, row_blocks};
use crate::{Activation, RowQuant};

/// int8 weights of 16 channels for 4 inputs.
type Line = [i8; 64];

/// Sums of products of R rows with P panels.
#[inline(always)]
fn tile<const R: usize, const P: usize>(
    s: Avx512Vnni,
    rows: [&[[u8; 4]]; R],
    panels: [&[Line]; P],
) -> [[I32x16; P]; R] {
    // Of one length, so that the loop needs no bounds checks.
    let groups = panels[0].len();
    let (rows, panels) = (cut(rows, groups), cut(panels, groups));
    let zero = s.splat_i32(0);
    let mut sums = [[zero; P]; R];
    for g in 0..groups {
        let mut weights = [zero; P];
        for (weights, panel) in weights.iter_mut().zip(panels) {
            *weights = s.load_bytes(&panel[g]);
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            let four = s.splat_i32(i32::from_ne_bytes(row[g]));
            for (sum, &weights) in sums.iter_mut().zip(&weights) {
                *sum = sum.add_dot_bytes(four, weights);
            }
        }
    }
    sums
}

/// Rows `i..i + R` of the P panels from `channel` on.
#[inline(always)]
fn block<const N: usize, const R: usize, const P: usize>(
    s: Avx512Vnni,
    a: &impl Planes<N>,
    epilogue: &Epilogue<'_>,
    i: usize,
    channel: usize,
    out: &mut [f32],
) {
    let groups = padded_k(epilogue.b.k()) / 4;
    let lines = epilogue.b.data().as_chunks().0;
    let panels = strips(lines, channel / 16 * groups, groups, groups);
    let mut sums = [[[s.splat_i32(0); P]; R]; N];
    for (plane, sums) in a.planes().iter().zip(&mut sums) {
        let plane = plane.as_chunks().0;
        let rows = strips(plane, i * groups, groups, groups);
        *sums = tile(s, rows, panels);
    }
    epilogue.finish(s, a, &sums, i, channel, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, epilogue: &Epilogue<'_>, out: &mut [f32]) {
    let (s, n) = (Avx512Vnni::new(), epilogue.b.n());
    for rows in row_blocks(m, padded_k(epilogue.b.k())) {
        for channel in (0..n).step_by(32) {
            if channel + 16 < n {
                row_block!(
                    [8, 4, 2, 1],
                    rows.clone(),
                    i,
                    R,
                    block::<N, R, 2>(s, a, epilogue, i, channel, out)
                );
            } else {
                row_block!(
                    [8, 4, 2, 1],
                    rows.clone(),
                    i,
                    R,
                    block::<N, R, 1>(s, a, epilogue, i, channel, out)
                );
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn gemm_i8(
    _: Avx512Vnni,
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
    _: Avx512Vnni,
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
