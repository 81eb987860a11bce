//! Products with int8 weights in tiles: blocks of 32 rows by 2 panels have four tiles of sums, so
//! each loaded tile is used twice, and a load hides behind two products.
//!
//! The sums go through memory to the AVX-512 epilogue. A block's epilogue comes after the products
//! of the *next* block: by then the sums have left the store buffer, and the vector instructions,
//! which do not depend on those products, overlap with them.

use std::ops::Range;

use super::tiles::{ROWS, Sums, Tiles};
use crate::generic::quantized::{Outputs, Planes};
use crate::generic::simd::Simd;
use crate::generic::{BLOCK_BYTES, row_tiles};
use crate::layout::{PANEL, PackedI8, padded_k};
use crate::ops::{GemmI8, GemmI8A16};
use crate::x86_64::avx512_vnni;
use crate::x86_64::avx512_vnni::lanes::Avx512Vnni;

/// Rows of a block.
const BLOCK_ROWS: usize = 2 * ROWS;

/// With fewer rows than this, vectors are as fast: reading the weights takes longer than
/// multiplying them.
const FEWEST_ROWS: usize = 4;

/// Outputs that are computed together: up to 32 rows of 1 or 2 panels.
#[derive(Clone, Copy)]
struct Block {
    row: usize,
    rows: usize,
    channel: usize,
    panels: usize,
}

/// Cuts rows into blocks of `height`. In their order, a pair of panels stays in the first-level
/// cache for as many rows as the second level holds.
fn blocks(rows: Range<usize>, height: usize, b: &PackedI8<'_>) -> impl Iterator<Item = Block> {
    let (n, end) = (b.n(), rows.end);
    let cached = (BLOCK_BYTES / padded_k(b.k()).max(1)).next_multiple_of(height);
    rows.step_by(cached).flat_map(move |first| {
        let last = end.min(first + cached);
        (0..n).step_by(2 * PANEL).flat_map(move |channel| {
            let panels = if channel + PANEL < n { 2 } else { 1 };
            (first..last).step_by(height).map(move |row| Block {
                row,
                rows: height,
                channel,
                panels,
            })
        })
    })
}

/// The sums of a block's rows with its panels, for each plane of the rows.
#[inline(always)]
fn multiply<const N: usize, const P: usize>(
    tiles: &Tiles,
    a: &impl Planes<N>,
    b: &PackedI8<'_>,
    block: Block,
    sums: &mut [Sums; N],
) {
    let stride = padded_k(b.k());
    let panel = stride * PANEL;
    let panels = std::array::from_fn(|p| &b.data()[(block.channel / PANEL + p) * panel..][..panel]);
    for (plane, sums) in a.planes().iter().zip(sums) {
        let rows = &plane[block.row * stride..][..block.rows * stride];
        tiles.multiply::<P>(rows, stride, panels, sums);
    }
}

/// Outputs from a block's sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn finish<const N: usize, const P: usize>(
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    block: Block,
    sums: &[Sums; N],
    out: &mut [f32],
) {
    row_tiles!(Avx512Vnni::TILE_ROWS, 0..block.rows, i, R, {
        finish_rows::<N, R, P>(a, outputs, block, i, sums, out);
    });
}

/// Outputs of rows `i..i + R` of a block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn finish_rows<const N: usize, const R: usize, const P: usize>(
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    block: Block,
    i: usize,
    sums: &[Sums; N],
    out: &mut [f32],
) {
    let s = Avx512Vnni::new();
    let mut loaded = [[[s.splat_i32(0); P]; R]; N];
    for (loaded, sums) in loaded.iter_mut().zip(sums) {
        for (r, loaded) in loaded.iter_mut().enumerate() {
            for (p, loaded) in loaded.iter_mut().enumerate() {
                let (tile, row) = ((i + r) / ROWS, (i + r) % ROWS);
                *loaded = s.load_i32(&sums.0[2 * tile + p][row]);
            }
        }
    }
    outputs.finish(s, a, &loaded, block.row + i, block.channel, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, outputs: &Outputs<'_>, out: &mut [f32]) {
    let b = outputs.b;
    let mut buffers = [const { [const { Sums::ZERO }; N] }; 2];
    let [current, previous] = &mut buffers;
    let (mut current, mut previous) = (current, previous);
    let mut computed: Option<Block> = None;
    let mut finish = |block: Block, sums: &[Sums; N]| match block.panels {
        1 => finish::<N, 1>(a, outputs, block, sums, out),
        _ => finish::<N, 2>(a, outputs, block, sums, out),
    };
    // Whole blocks, then the rest, for which the tiles have fewer rows.
    let whole = m - m % BLOCK_ROWS;
    for (rows, height) in [(0..whole, BLOCK_ROWS), (whole..m, m % BLOCK_ROWS)] {
        if rows.is_empty() {
            continue;
        }
        // SAFETY: this function is called through its tier's row only, and `Kernels` hands that
        // row out only where `run_amx_int8` found tiles and the permission to use them. The tiles
        // of the previous turn are released.
        let tiles = unsafe { Tiles::configure(height) };
        for block in blocks(rows, height, &b) {
            match block.panels {
                1 => multiply::<N, 1>(&tiles, a, &b, block, current),
                _ => multiply::<N, 2>(&tiles, a, &b, block, current),
            }
            if let Some(block) = computed.replace(block) {
                finish(block, previous);
            }
            std::mem::swap(&mut current, &mut previous);
        }
    }
    if let Some(block) = computed {
        finish(block, previous);
    }
}

pub(super) fn gemm_i8(op: GemmI8<'_>) {
    let m = op.a.params.len();
    if m < FEWEST_ROWS {
        return (avx512_vnni::KERNELS.gemm_i8)(op);
    }
    let (b, epilogue) = (op.b, op.epilogue);
    // SAFETY: only the tier's row names this function, and `Kernels` hands that row out only where
    // `run_amx_int8` found the features.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}

pub(super) fn gemm_i8_a16(op: GemmI8A16<'_>) {
    let m = op.a.scales.len();
    if m < FEWEST_ROWS {
        return (avx512_vnni::KERNELS.gemm_i8_a16)(op);
    }
    let (b, epilogue) = (op.b, op.epilogue);
    // SAFETY: as in `gemm_i8`.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}
