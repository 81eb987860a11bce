//! Products with int8 weights: `vpdpbusd` adds four products of bytes to an i32 without saturating.
//! A line of packed weights is its operand, as it lies.

use super::lanes::{Avx512Vnni, I32x16};
use crate::generic::quantized::{Outputs, Planes};
use crate::generic::simd::Simd;
use crate::generic::{cut, row_blocks, row_tiles, strips};
use crate::layout::padded_k;
use crate::ops::{GemmI8, GemmI8A16};

/// int8 weights of 16 channels for 4 inputs.
type Line = [i8; 64];

/// Sums of products of R rows with P panels.
#[inline(always)]
fn tile<const R: usize, const P: usize>(
    s: Avx512Vnni,
    rows: [&[[u8; 4]]; R],
    panels: [&[Line]; P],
) -> [[I32x16; P]; R] {
    // The same length for all, so that the loop needs no bounds checks.
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn block<const N: usize, const R: usize, const P: usize>(
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    i: usize,
    channel: usize,
    out: &mut [f32],
) {
    let s = Avx512Vnni::new();
    let groups = padded_k(outputs.b.k()) / 4;
    let lines = outputs.b.data().as_chunks().0;
    let panels = strips(lines, channel / 16 * groups, groups, groups);
    let mut sums = [[[s.splat_i32(0); P]; R]; N];
    for (plane, sums) in a.planes().iter().zip(&mut sums) {
        let plane = plane.as_chunks().0;
        let rows = strips(plane, i * groups, groups, groups);
        *sums = tile(s, rows, panels);
    }
    outputs.finish(s, a, &sums, i, channel, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, outputs: &Outputs<'_>, out: &mut [f32]) {
    let n = outputs.b.n();
    for rows in row_blocks(m, padded_k(outputs.b.k())) {
        for channel in (0..n).step_by(32) {
            if channel + 16 < n {
                row_tiles!(Avx512Vnni::TILE_ROWS, rows.clone(), i, R, {
                    block::<N, R, 2>(a, outputs, i, channel, out);
                });
            } else {
                row_tiles!(Avx512Vnni::TILE_ROWS, rows.clone(), i, R, {
                    block::<N, R, 1>(a, outputs, i, channel, out);
                });
            }
        }
    }
}

pub(super) fn gemm_i8(op: GemmI8<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.params.len();
    // SAFETY: only the tier's row names this function, and `Kernels` hands that row out only where
    // `run_avx512_vnni` found the features.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}

pub(super) fn gemm_i8_a16(op: GemmI8A16<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.scales.len();
    // SAFETY: as in `gemm_i8`.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}
