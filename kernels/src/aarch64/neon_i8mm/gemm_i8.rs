//! Products with int8 weights: `usmmla` adds to two by two sums the products of two rows of eight
//! unsigned bytes with two of eight signed ones.
//!
//! Two lines of packed weights hold, for each channel, four bytes in one and four in the other.
//! They are put together once per block of rows, in a buffer that all tiles of the block read.

use std::arch::aarch64::*;
use std::ops::Range;

use crate::aarch64::lanes::{I32x16, Neon};
use crate::aarch64::level::I8mm;
use crate::aarch64::{unsafe_arith, unsafe_memory};
use crate::generic::quantized::{Outputs, Planes};
use crate::generic::simd::Simd;
use crate::generic::{cut, row_tiles};
use crate::layout::{PANEL, padded_k};
use crate::ops::{GemmI8, GemmI8A16};

/// int8 weights of 16 channels for 4 inputs.
type Line = [i8; 64];
/// Of 16 channels for 8 inputs: eight operands of two channels each.
type Pairs = [[i8; 16]; 8];

/// Inputs whose weights are in the buffer at a time: 24 KB of them.
const DEPTH: usize = 1536;
/// Most rows of a block. More would need more room for the sums over parts of the depth.
const ROWS: usize = 96;

/// The operands of a part of a panel, on cache lines; and, if there are several parts, the sums
/// over those before.
#[repr(align(64))]
struct Scratch<const N: usize> {
    weights: [[Pairs; 2]; DEPTH / 16],
    sums: [[[I32x16; 1]; ROWS]; N],
}

#[inline(always)]
fn join(lines: &[[Line; 2]], weights: &mut [Pairs]) {
    for ([first, second], pairs) in lines.iter().zip(weights) {
        let parts = first
            .as_chunks::<16>()
            .0
            .iter()
            .zip(second.as_chunks::<16>().0);
        for ((first, second), [low, high]) in parts.zip(pairs.as_chunks_mut::<2>().0) {
            unsafe_memory!({
                let first = vreinterpretq_s32_s8(vld1q_s8(first.as_ptr()));
                let second = vreinterpretq_s32_s8(vld1q_s8(second.as_ptr()));
                let joined = vreinterpretq_s8_s32(vzip1q_s32(first, second));
                vst1q_s8(low.as_mut_ptr(), joined);
                let joined = vreinterpretq_s8_s32(vzip2q_s32(first, second));
                vst1q_s8(high.as_mut_ptr(), joined);
            });
        }
    }
}

/// Inputs 0 to 7, and 8 to 15, of two rows.
#[inline(always)]
fn two_rows(a: &[u8; 16], b: &[u8; 16]) -> [uint8x16_t; 2] {
    unsafe_memory!({
        let a = vreinterpretq_u64_u8(vld1q_u8(a.as_ptr()));
        let b = vreinterpretq_u64_u8(vld1q_u8(b.as_ptr()));
        [
            vreinterpretq_u8_u64(vzip1q_u64(a, b)),
            vreinterpretq_u8_u64(vzip2q_u64(a, b)),
        ]
    })
}

/// Two rows of 16 sums, as squares of two by two, and back: swaps the middle two of four pairs.
#[inline(always)]
fn swap(x: [int32x4_t; 2]) -> [int32x4_t; 2] {
    unsafe_arith!({
        let [a, b] = [vreinterpretq_s64_s32(x[0]), vreinterpretq_s64_s32(x[1])];
        [
            vreinterpretq_s32_s64(vzip1q_s64(a, b)),
            vreinterpretq_s32_s64(vzip2q_s64(a, b)),
        ]
    })
}

/// Adds the products of Q pairs of rows with a part of a panel to their sums. `rows`: the first
/// rows of the pairs, and the second.
#[inline(always)]
fn tile<const Q: usize>(
    s: Neon<I8mm>,
    rows: [[&[[u8; 16]]; Q]; 2],
    weights: &[[Pairs; 2]],
    sums: [[I32x16; Q]; 2],
) -> [[I32x16; Q]; 2] {
    let [first, second] = rows.map(|rows| cut(rows, weights.len()));
    let mut squares = [[unsafe_arith!(vdupq_n_s32(0)); 8]; Q];
    for q in 0..Q {
        for i in 0..4 {
            let [low, high] = swap([sums[0][q].0[i], sums[1][q].0[i]]);
            (squares[q][2 * i], squares[q][2 * i + 1]) = (low, high);
        }
    }
    for (g, weights) in weights.iter().enumerate() {
        let mut inputs = [[unsafe_arith!(vdupq_n_u8(0)); 2]; Q];
        for (q, inputs) in inputs.iter_mut().enumerate() {
            *inputs = two_rows(&first[q][g], &second[q][g]);
        }
        for (half, weights) in weights.iter().enumerate() {
            for (c, weights) in weights.iter().enumerate() {
                let weights = unsafe_memory!(vld1q_s8(weights.as_ptr()));
                for (squares, inputs) in squares.iter_mut().zip(&inputs) {
                    squares[c] = s.level().add_square(squares[c], inputs[half], weights);
                }
            }
        }
    }
    let mut sums = sums;
    for q in 0..Q {
        for i in 0..4 {
            let [low, high] = swap([squares[q][2 * i], squares[q][2 * i + 1]]);
            (sums[0][q].0[i], sums[1][q].0[i]) = (low, high);
        }
    }
    sums
}

/// [`tile`] for R rows from `i` on. A single row is a pair with itself.
#[inline(always)]
fn rows<const R: usize>(
    s: Neon<I8mm>,
    plane: &[[u8; 16]],
    (i, stride): (usize, usize),
    part: &Range<usize>,
    weights: &[[Pairs; 2]],
    sums: &mut [[I32x16; 1]; R],
) {
    let row = |r: usize| &plane[(i + r) * stride..][part.clone()];
    macro_rules! pairs {
        ($q:literal) => {{
            let (mut rows, mut pairs) = ([[&plane[..0]; $q]; 2], [[sums[0][0]; $q]; 2]);
            for r in 0..2 * $q {
                rows[r % 2][r / 2] = row(r.min(R - 1));
                pairs[r % 2][r / 2] = sums[r.min(R - 1)][0];
            }
            let pairs = tile::<$q>(s, rows, weights, pairs);
            for (r, sums) in sums.iter_mut().enumerate() {
                *sums = [pairs[r % 2][r / 2]];
            }
        }};
    }
    match R {
        6 => pairs!(3),
        4 => pairs!(2),
        _ => pairs!(1),
    }
}

/// All outputs of a block of rows for the panel from `channel` on.
#[inline(always)]
fn panel<const N: usize>(
    s: Neon<I8mm>,
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    block: &Range<usize>,
    channel: usize,
    scratch: &mut Scratch<N>,
    out: &mut [f32],
) {
    let groups = padded_k(outputs.b.k()) / 16;
    let lines: &[Line] = outputs.b.data().as_chunks().0;
    let lines: &[[Line; 2]] = lines.as_chunks().0;
    let planes = a.planes().map(|plane| plane.as_chunks().0);
    let zero = [s.splat_i32(0)];
    // Once even if the depth is 0: the output is then the function of the bias.
    for start in (0..groups.max(1)).step_by(DEPTH / 16) {
        let part = start..groups.min(start + DEPTH / 16);
        let weights = &mut scratch.weights[..part.len()];
        let lines = &lines[2 * channel / PANEL * groups..][2 * part.start..2 * part.end];
        join(lines, weights.as_flattened_mut());
        row_tiles!(Neon::<I8mm>::TILE_ROWS, block.clone(), i, R, {
            let mut sums = [[zero; R]; N];
            let saved = i - block.start..i - block.start + R;
            for ((plane, sums), all) in planes.iter().zip(&mut sums).zip(&scratch.sums) {
                if part.start > 0 {
                    sums.copy_from_slice(&all[saved.clone()]);
                }
                rows::<R>(s, plane, (i, groups), &part, weights, sums);
            }
            if part.end == groups {
                outputs.finish(s, a, &sums, i, channel, out);
            } else {
                for (all, sums) in scratch.sums.iter_mut().zip(&sums) {
                    all[saved.clone()].copy_from_slice(sums);
                }
            }
        });
    }
}

#[target_feature(enable = "dotprod,i8mm")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, outputs: &Outputs<'_>, out: &mut [f32]) {
    let s = Neon::new(I8mm::new());
    let mut scratch = Scratch {
        weights: [[[[0; 16]; 8]; 2]; DEPTH / 16],
        sums: [[[s.splat_i32(0)]; ROWS]; N],
    };
    for first in (0..m).step_by(ROWS) {
        let block = first..m.min(first + ROWS);
        for channel in (0..outputs.b.n()).step_by(PANEL) {
            panel(s, a, outputs, &block, channel, &mut scratch, out);
        }
    }
}

pub(super) fn gemm_i8(op: GemmI8<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.params.len();
    // SAFETY: only the tier's row names this function, and `Kernels` hands that row out only where
    // `I8mm::detected` found the features.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}

pub(super) fn gemm_i8_a16(op: GemmI8A16<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.scales.len();
    // SAFETY: as in `gemm_i8`.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}
