//! Products with int8 weights on tiers without a dot product of bytes: inputs and weights are
//! widened to pairs of i16. (x86's product of bytes, `pmaddubsw`, saturates.)
//!
//! The even two and the odd two of a group of 4 inputs make a pair each, so that shifts and masks
//! take a group apart.

use std::hint::black_box;

use super::dot::{self, Line, Pairs};
use super::quantized::{Outputs, Planes};
use super::simd::Simd;
use super::{cut, row_tiles, strips};
use crate::layout::{PANEL, padded_k};
use crate::ops::{GemmI8, GemmI8A16, Operation};

/// Groups of 4 inputs that are widened at a time: 24 KB of a panel's weights. Not a power of two,
/// which would make all rows compete for the same lines of the cache.
const GROUPS: usize = 192;
/// Rows per block if they have [`GROUPS`] groups or more: 36 KB of widened inputs per plane.
const DEEP_ROWS: usize = 24;
/// Upper bound on rows per block when the depth is shallow.
const ROWS: usize = 72;
/// Rows deeper than [`GROUPS`] are widened part by part; each part serves this many panels.
const PANELS: usize = 4;
/// Up to this many rows use a panel's bytes as they lie: widening the panel in memory would not
/// pay.
const FEW: usize = 6;

/// int8 weights of 16 channels for 4 inputs.
type Packed = [i8; 4 * PANEL];

/// A panel's widened groups, on cache lines.
#[repr(align(64))]
struct Panel([Line; 2 * GROUPS]);

#[inline(always)]
fn widen_row(groups: &[[u8; 4]], row: &mut [i32]) {
    for (group, pairs) in groups.iter().zip(row.as_chunks_mut::<2>().0) {
        let group = u32::from_le_bytes(*group);
        *pairs = [group & 0x00FF_00FF, (group >> 8) & 0x00FF_00FF].map(|pair| pair as i32);
    }
}

#[inline(always)]
fn widen_panel<S: Simd>(s: S, lines: &[Packed], panel: &mut Panel) {
    for (line, [even, odd]) in lines.iter().zip(panel.0.as_chunks_mut::<2>().0) {
        let line = s.load_bytes(line);
        s.store_i32(s.even_bytes(line), even);
        s.store_i32(s.odd_bytes(line), odd);
    }
}

/// As [`dot::tile`] with one panel, of bytes.
#[inline(always)]
fn tile_of_bytes<S: Simd, const R: usize>(
    s: S,
    rows: [&[i32]; R],
    lines: &[Packed],
    mut sums: [[S::I32; 1]; R],
) -> [[S::I32; 1]; R] {
    let rows = cut(rows, 2 * lines.len());
    for (g, line) in lines.iter().enumerate() {
        let line = s.load_bytes(line);
        for (half, line) in [s.even_bytes(line), s.odd_bytes(line)]
            .into_iter()
            .enumerate()
        {
            for (row, sums) in rows.iter().zip(&mut sums) {
                sums[0] = s.add_dot(sums[0], s.splat_i32(row[2 * g + half]), line);
            }
        }
    }
    sums
}

/// Widened inputs and weights, and the sums over the parts of a depth above [`GROUPS`].
struct Scratch<S: Simd, const N: usize, const M: usize> {
    rows: [[[i32; 2 * GROUPS]; M]; N],
    panel: Panel,
    sums: [[[[S::I32; 1]; M]; N]; PANELS],
}

/// All outputs of rows `first..first + m`. `WIDE`: widen each panel to i16 once and reuse it for
/// all rows.
#[inline(always)]
fn block<S: Simd, const N: usize, const M: usize, const WIDE: bool>(
    s: S,
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    (first, m): (usize, usize),
    scratch: &mut Scratch<S, N, M>,
    out: &mut [f32],
) {
    let groups = padded_k(outputs.b.k()) / 4;
    let stride = 2 * groups.clamp(1, GROUPS);
    let lines: &[Packed] = outputs.b.data().as_chunks().0;
    let planes = a.planes().map(|plane| plane.as_chunks().0);
    let zero = s.splat_i32(0);
    let channels = PANELS * PANEL;
    for left in (0..outputs.b.n()).step_by(channels) {
        let right = outputs.b.n().min(left + channels);
        // Once even if the depth is 0: the output is then the function of the bias.
        for part in (0..groups.max(1)).step_by(GROUPS) {
            let part = part..groups.min(part + GROUPS);
            // Rows of a single part stay widened from the first panel on.
            if left == 0 || groups > GROUPS {
                for (plane, rows) in planes.iter().zip(&mut scratch.rows) {
                    let rows = rows.as_flattened_mut().chunks_exact_mut(stride);
                    let deep = plane[first * groups..].chunks(groups.max(1));
                    for (row, deep) in rows.zip(deep).take(m) {
                        widen_row(&deep[part.clone()], row);
                    }
                }
            }
            let panels = (left..right).step_by(PANEL).zip(&mut scratch.sums);
            for (channel, sums) in panels {
                let lines = &lines[channel / PANEL * groups..][part.clone()];
                if WIDE {
                    widen_panel(s, lines, &mut scratch.panel);
                }
                let wide = &scratch.panel.0[..2 * lines.len()];
                row_tiles!(S::TILE_ROWS, 0..m, i, R, {
                    let mut tile = [[[zero; 1]; R]; N];
                    for ((tile, sums), rows) in tile.iter_mut().zip(sums.iter()).zip(&scratch.rows)
                    {
                        let rows = strips(rows.as_flattened(), i * stride, stride, wide.len());
                        if part.start > 0 {
                            tile.copy_from_slice(&sums[i..i + R]);
                        }
                        *tile = if WIDE {
                            dot::tile::<Pairs, _, _, _>(s, rows, [wide], *tile)
                        } else {
                            tile_of_bytes(s, rows, lines, *tile)
                        };
                        if N > 1 {
                            // Spill this plane's sums, so that the next plane can use the
                            // registers.
                            black_box(tile);
                        }
                    }
                    if part.end == groups {
                        outputs.finish(s, a, &tile, first + i, channel, out);
                    } else {
                        for (tile, sums) in tile.iter().zip(sums.iter_mut()) {
                            sums[i..i + R].copy_from_slice(tile);
                        }
                    }
                });
            }
        }
    }
}

/// All outputs of all rows, `step` at a time.
#[inline(always)]
fn blocks<S: Simd, const N: usize, const M: usize, const WIDE: bool>(
    s: S,
    a: &impl Planes<N>,
    (m, step): (usize, usize),
    outputs: &Outputs<'_>,
    out: &mut [f32],
) {
    let mut scratch = Scratch {
        rows: [[[0; 2 * GROUPS]; M]; N],
        panel: Panel([[0; PANEL]; 2 * GROUPS]),
        sums: [[[[s.splat_i32(0); 1]; M]; N]; PANELS],
    };
    for first in (0..m).step_by(step) {
        let rows = (first, step.min(m - first));
        block::<S, N, M, WIDE>(s, a, outputs, rows, &mut scratch, out);
    }
}

#[inline(always)]
fn product<S: Simd, const N: usize>(
    s: S,
    a: &impl Planes<N>,
    m: usize,
    outputs: &Outputs<'_>,
    out: &mut [f32],
) {
    if m <= FEW {
        return blocks::<S, N, FEW, false>(s, a, (m, FEW), outputs, out);
    }
    let groups = padded_k(outputs.b.k()) / 4;
    let fit = DEEP_ROWS * GROUPS / groups.clamp(1, GROUPS);
    blocks::<S, N, DEEP_ROWS, true>(s, a, (m, fit.min(ROWS)), outputs, out);
}

impl Operation for GemmI8<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let (b, epilogue) = (self.b, self.epilogue);
        let m = self.a.params.len();
        product(s, &self.a, m, &Outputs { b, epilogue }, self.out);
    }
}

impl Operation for GemmI8A16<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let (b, epilogue) = (self.b, self.epilogue);
        let m = self.a.scales.len();
        product(s, &self.a, m, &Outputs { b, epilogue }, self.out);
    }
}
