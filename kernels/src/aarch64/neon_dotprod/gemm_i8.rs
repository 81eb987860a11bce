//! Products with int8 weights: `sdot` adds four products of signed bytes to an i32. A line of
//! packed weights is four of its operands, as it lies. The unsigned inputs are taken as 128 less,
//! and the sums start with 128 times the sums of the weights.

use std::arch::aarch64::*;

use crate::aarch64::lanes::{I32x16, Neon};
use crate::aarch64::level::DotProd;
use crate::aarch64::{unsafe_arith, unsafe_memory};
use crate::generic::quantized::{Outputs, Planes};
use crate::generic::simd::Simd;
use crate::generic::{cut, row_blocks, row_tiles, strips};
use crate::layout::padded_k;
use crate::ops::{GemmI8, GemmI8A16};

/// int8 weights of 16 channels for 4 inputs.
type Line = [i8; 64];
/// The weights for 16 inputs.
type Lines = [Line; 4];

/// A quarter of a line: 4 channels.
#[inline(always)]
fn quarter(line: &Line, i: usize) -> int8x16_t {
    let parts = line.as_chunks::<16>().0;
    unsafe_memory!(vld1q_s8(parts[i].as_ptr()))
}

/// 128 times the sums of a panel's weights.
#[inline(always)]
fn offsets(s: Neon<DotProd>, panel: &[Lines]) -> I32x16 {
    let minus_128 = unsafe_arith!(vdupq_n_s8(-128));
    let mut sums = s.splat_i32(0);
    for line in panel.as_flattened() {
        for (i, sum) in sums.0.iter_mut().enumerate() {
            *sum = s
                .level()
                .add_dot_lane::<0>(*sum, minus_128, quarter(line, i));
        }
    }
    s.splat_i32(0) - sums
}

/// Sums of products of R rows with a panel.
#[inline(always)]
fn tile<const R: usize>(
    s: Neon<DotProd>,
    rows: [&[[u8; 16]]; R],
    panel: &[Lines],
    start: I32x16,
) -> [[I32x16; 1]; R] {
    let mut sums = [start; R];
    let rows = cut(rows, panel.len());
    let sign = unsafe_arith!(vdupq_n_u8(128));
    for (g, lines) in panel.iter().enumerate() {
        let mut inputs = [unsafe_arith!(vdupq_n_s8(0)); R];
        for (input, row) in inputs.iter_mut().zip(rows) {
            let x = unsafe_memory!(vld1q_u8(row[g].as_ptr()));
            *input = unsafe_arith!(vreinterpretq_s8_u8(veorq_u8(x, sign)));
        }
        macro_rules! line {
            ($lane:literal) => {
                for i in 0..4 {
                    let weights = quarter(&lines[$lane], i);
                    for (sum, &x) in sums.iter_mut().zip(&inputs) {
                        sum.0[i] = s.level().add_dot_lane::<$lane>(sum.0[i], x, weights);
                    }
                }
            };
        }
        line!(0);
        line!(1);
        line!(2);
        line!(3);
    }
    sums.map(|sums| [sums])
}

/// All outputs of a block of rows for the panel from `channel` on.
#[inline(always)]
fn panel<const N: usize>(
    s: Neon<DotProd>,
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    block: std::ops::Range<usize>,
    channel: usize,
    out: &mut [f32],
) {
    let groups = padded_k(outputs.b.k()) / 16;
    let lines = outputs.b.data().as_chunks().0.as_chunks().0;
    let panel = &lines[channel / 16 * groups..][..groups];
    let start = offsets(s, panel);
    row_tiles!(Neon::<DotProd>::TILE_ROWS, block, i, R, {
        let mut sums = [[[start]; R]; N];
        for (plane, sums) in a.planes().iter().zip(&mut sums) {
            let rows = strips(plane.as_chunks().0, i * groups, groups, groups);
            *sums = tile(s, rows, panel, start);
        }
        outputs.finish(s, a, &sums, i, channel, out);
    });
}

#[target_feature(enable = "dotprod")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, outputs: &Outputs<'_>, out: &mut [f32]) {
    let s = Neon::new(DotProd::new());
    for block in row_blocks(m, padded_k(outputs.b.k())) {
        for channel in (0..outputs.b.n()).step_by(16) {
            panel(s, a, outputs, block.clone(), channel, out);
        }
    }
}

pub(super) fn gemm_i8(op: GemmI8<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.params.len();
    // SAFETY: only the tier's row names this function, and `Kernels` hands that row out only where
    // `DotProd::detected` found the features.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}

pub(super) fn gemm_i8_a16(op: GemmI8A16<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.scales.len();
    // SAFETY: as in `gemm_i8`.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}
