//! Products with int8 weights on tiers without a dot product of bytes: activations and weights are
//! widened to pairs of i16. (x86's product of bytes, `pmaddubsw`, saturates.)
//!
//! Of each group of 4 inputs the even two and the odd two make a pair each, so that shifts and
//! masks alone take a group apart.

use super::dot::{self, Line, Pairs};
use super::quantized::{Eight, Epilogue, Planes, Sixteen};
use super::simd::Simd;
use super::{cut, row_tiles, strips};
use crate::layout::{PANEL, PackedI8, padded_k};
use crate::{Activation, RowQuant};

/// Groups of 4 inputs that are widened at a time: 24 KB of a panel's weights. No power of two, which would have all
/// rows compete for the same lines of the cache.
const GROUPS: usize = 192;
/// Rows that are multiplied with a widened panel: 36 KB of activations a plane.
const ROWS: usize = 24;
/// Panels for which rows deeper than that, which are widened part by part, are widened once.
const PANELS: usize = 4;
/// Fewer rows than this are multiplied with a panel's bytes as they lie: each is then widened for
/// them alone.
const FEW: usize = 6;

/// A row's widened groups, even pairs and odd pairs in turn.
type Row = [i32; 2 * GROUPS];

/// int8 weights of 16 channels for 4 inputs.
type Packed = [i8; 4 * PANEL];

/// A panel's widened groups, on cache lines.
#[repr(align(64))]
struct Panel([Line; 2 * GROUPS]);

#[inline(always)]
fn widen_row(groups: &[[u8; 4]], row: &mut Row) {
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

/// All outputs of rows `i..i + m`, at most M. WIDE: a panel's weights are widened once for all.
#[inline(always)]
fn block<S: Simd, const N: usize, const M: usize, const WIDE: bool>(
    s: S,
    a: &impl Planes<N>,
    epilogue: &Epilogue<'_>,
    (first, m): (usize, usize),
    out: &mut [f32],
) {
    let groups = padded_k(epilogue.b.k()) / 4;
    let lines: &[Packed] = epilogue.b.data().as_chunks().0;
    let planes = a.planes().map(|plane| plane.as_chunks().0);
    let mut rows = [[[0; 2 * GROUPS]; M]; N];
    let mut wide = Panel([[0; PANEL]; 2 * GROUPS]);
    let zero = s.splat_i32(0);
    let channels = PANELS * PANEL;
    for left in (0..epilogue.b.n()).step_by(channels) {
        let right = epilogue.b.n().min(left + channels);
        let mut sums = [[[[zero; 1]; M]; N]; PANELS];
        for part in (0..groups).step_by(GROUPS) {
            let part = part..groups.min(part + GROUPS);
            // Rows of one part stay widened from the first panel on.
            if left == 0 || groups > GROUPS {
                for (plane, rows) in planes.iter().zip(&mut rows) {
                    for (r, row) in rows.iter_mut().take(m).enumerate() {
                        let start = (first + r) * groups;
                        widen_row(&plane[start + part.start..start + part.end], row);
                    }
                }
            }
            for (channel, sums) in (left..right).step_by(PANEL).zip(&mut sums) {
                let lines = &lines[channel / PANEL * groups..][part.clone()];
                if WIDE {
                    widen_panel(s, lines, &mut wide);
                }
                for (rows, sums) in rows.iter().zip(sums) {
                    row_tiles!(S, 0..m, i, R, {
                        let rows = rows.as_flattened();
                        let tile = strips(rows, i * 2 * GROUPS, 2 * GROUPS, 2 * lines.len());
                        let mut from = [[zero; 1]; R];
                        from.copy_from_slice(&sums[i..i + R]);
                        let to: [_; R] = match WIDE {
                            true => dot::tile::<Pairs, _, _, _>(
                                s,
                                tile,
                                [&wide.0[..2 * lines.len()]],
                                from,
                            ),
                            false => tile_of_bytes(s, tile, lines, from),
                        };
                        sums[i..i + R].copy_from_slice(&to);
                    });
                }
            }
        }
        for (channel, sums) in (left..right).step_by(PANEL).zip(&sums) {
            row_tiles!(S, 0..m, i, R, {
                let mut tile = [[[zero; 1]; R]; N];
                for (tile, sums) in tile.iter_mut().zip(sums) {
                    tile.copy_from_slice(&sums[i..i + R]);
                }
                epilogue.finish(s, a, &tile, first + i, channel, out);
            });
        }
    }
}

#[inline(always)]
fn product<S: Simd, const N: usize>(
    s: S,
    a: &impl Planes<N>,
    m: usize,
    epilogue: &Epilogue<'_>,
    out: &mut [f32],
) {
    if m <= FEW {
        return block::<S, N, FEW, false>(s, a, epilogue, (0, m), out);
    }
    for first in (0..m).step_by(ROWS) {
        let rows = (first, ROWS.min(m - first));
        block::<S, N, ROWS, true>(s, a, epilogue, rows, out);
    }
}

#[inline(always)]
pub(crate) fn gemm_i8<S: Simd>(
    s: S,
    a: &[u8],
    params: &[RowQuant],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    product(s, &Eight { a, params }, m, &Epilogue { b, bias, act }, out);
}

#[inline(always)]
pub(crate) fn gemm_i8_a16<S: Simd>(
    s: S,
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
    product(s, &a, m, &Epilogue { b, bias, act }, out);
}
