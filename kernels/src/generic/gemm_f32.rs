//! Products with f32 and f16 weights: tiles of rows by panels of 16 channels, in registers.

use std::ops::Range;

use half::f16;

use super::simd::{LANES, Simd};
use super::{cut, row_blocks, row_tiles, strips};
use crate::ops::{Activate, GemmFloat, Operation};
use crate::{Activation, Epilogue};

/// The type of a weight.
pub(super) trait Weight: Sized {
    /// Whether it must be widened.
    const NARROW: bool;

    /// Loads a line: one input's weights for the 16 channels of a panel.
    fn load<S: Simd>(s: S, line: &[Self; LANES]) -> S::F32;
}

impl Weight for f32 {
    const NARROW: bool = false;

    #[inline(always)]
    fn load<S: Simd>(s: S, line: &[Self; LANES]) -> S::F32 {
        s.load(line)
    }
}

impl Weight for f16 {
    const NARROW: bool = true;

    #[inline(always)]
    fn load<S: Simd>(s: S, line: &[Self; LANES]) -> S::F32 {
        s.widen_f16(line)
    }
}

/// Adds `sum_d rows[r][d] * panels[p][d][c]` to the sums: one accumulator per output, `d`
/// ascending, each step fused where the tier fuses.
#[inline(always)]
pub(super) fn tile<S: Simd, W: Weight, const R: usize, const P: usize>(
    s: S,
    rows: [&[f32]; R],
    panels: [&[[W; LANES]]; P],
    mut sums: [[S::F32; P]; R],
) -> [[S::F32; P]; R] {
    // The same length for all, so that the loop needs no bounds checks.
    let len = panels[0].len();
    let (rows, panels) = (cut(rows, len), cut(panels, len));
    for d in 0..len {
        let mut weights = [s.splat(0.0); P];
        for (weights, panel) in weights.iter_mut().zip(panels) {
            *weights = W::load(s, &panel[d]);
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            let x = s.splat(row[d]);
            for (sum, &weights) in sums.iter_mut().zip(&weights) {
                *sum = s.fma(x, weights, *sum);
            }
        }
    }
    sums
}

/// Depth to which a panel is widened at a time: 24 KB.
const DEPTH: usize = 384;

/// A product's operands.
struct Product<'a, W> {
    a: &'a [f32],
    k: usize,
    n: usize,
    /// Panels of `k` lines.
    lines: &'a [[W; LANES]],
    epilogue: Epilogue<'a>,
}

impl<W: Weight> Product<'_, W> {
    /// Rows `i..i + R` of the panels from `channel` on. `panels` have the depth from `start` on;
    /// the sums over the depth before lie in `out`.
    #[inline(always)]
    fn block<S: Simd, V: Weight, const R: usize, const P: usize>(
        &self,
        s: S,
        i: usize,
        (channel, start): (usize, usize),
        panels: [&[[V; LANES]]; P],
        out: &mut [f32],
    ) {
        let &Self { a, k, n, .. } = self;
        let depth = panels[0].len();
        let rows = strips(a, i * k + start, k, depth);
        let right = n.min(channel + P * LANES);
        let mut sums = [[s.splat(0.0); P]; R];
        if start > 0 {
            for (r, sums) in sums.iter_mut().enumerate() {
                let row = &out[(i + r) * n..][..right];
                for (p, sum) in sums.iter_mut().enumerate() {
                    *sum = s.load_part(&row[channel + p * LANES..], 0.0);
                }
            }
        }
        let sums: [[S::F32; P]; R] = tile(s, rows, panels, sums);
        let last = start + depth == k;
        for (r, sums) in sums.iter().enumerate() {
            let row = &mut out[(i + r) * n..][..right];
            for (p, &sum) in sums.iter().enumerate() {
                let left = channel + p * LANES;
                let value = if last {
                    sum + s.load_part(&self.epilogue.bias[left..], 0.0)
                } else {
                    sum
                };
                s.store_part(value, &mut row[left..]);
            }
            if last && self.epilogue.act != Activation::None {
                let x = &mut row[channel..];
                s.call(Activate {
                    act: self.epilogue.act,
                    x,
                });
            }
        }
    }

    /// All outputs of P panels, or of the last one, from the weights as they lie.
    #[inline(always)]
    fn panels<S: Simd, const P: usize>(
        &self,
        s: S,
        rows: Range<usize>,
        channel: usize,
        out: &mut [f32],
    ) {
        let (k, place) = (self.k, (channel, 0));
        let panel = channel / LANES * k;
        if channel + (P - 1) * LANES < self.n {
            let panels: [_; P] = strips(self.lines, panel, k, k);
            row_tiles!(S::TILE_ROWS, rows, i, R, {
                let (product, panels) = (self, panels);
                s.call(Block::<W, _, R, P> {
                    product,
                    i,
                    place,
                    panels,
                    out,
                });
            });
        } else {
            let panels: [_; 1] = strips(self.lines, panel, k, k);
            row_tiles!(S::TILE_ROWS, rows, i, R, {
                let (product, panels) = (self, panels);
                s.call(Block::<W, _, R, 1> {
                    product,
                    i,
                    place,
                    panels,
                    out,
                });
            });
        }
    }

    /// All outputs, P panels at a time, from weights that are widened once for all rows.
    #[inline(always)]
    fn widened<S: Simd, const P: usize>(&self, s: S, m: usize, out: &mut [f32]) {
        let &Self { k, n, lines, .. } = self;
        let mut wide = [const { Panel([[0.0; LANES]; DEPTH]) }; P];
        for channel in (0..n).step_by(P * LANES) {
            let present = P.min((n - channel).div_ceil(LANES));
            for start in (0..k).step_by(DEPTH) {
                let depth = DEPTH.min(k - start);
                for (p, wide) in wide.iter_mut().enumerate().take(present) {
                    let lines = &lines[(channel / LANES + p) * k + start..][..depth];
                    for (line, wide) in lines.iter().zip(&mut wide.0) {
                        s.store(W::load(s, line), wide);
                    }
                }
                let mut panels = [&wide[0].0[..depth]; P];
                for (panel, wide) in panels.iter_mut().zip(&wide) {
                    *panel = &wide.0[..depth];
                }
                let place = (channel, start);
                if present == P {
                    row_tiles!(S::TILE_ROWS, 0..m, i, R, {
                        let (product, panels) = (self, panels);
                        s.call(Block::<W, _, R, P> {
                            product,
                            i,
                            place,
                            panels,
                            out,
                        });
                    });
                } else {
                    row_tiles!(S::TILE_ROWS, 0..m, i, R, {
                        let (product, panels) = (self, [panels[0]]);
                        s.call(Block::<W, _, R, 1> {
                            product,
                            i,
                            place,
                            panels,
                            out,
                        });
                    });
                }
            }
        }
    }

    /// All outputs of P panels at a time.
    #[inline(always)]
    fn all<S: Simd, const P: usize>(&self, s: S, m: usize, out: &mut [f32]) {
        if W::NARROW && m >= S::WIDEN_FROM && self.k > 0 {
            return self.widened::<S, P>(s, m, out);
        }
        for rows in row_blocks(m, self.k * size_of::<f32>()) {
            for channel in (0..self.n).step_by(P * LANES) {
                self.panels::<S, P>(s, rows.clone(), channel, out);
            }
        }
    }
}

/// The operands of [`Product::block`], so that each size of tile is a function of its own: the
/// compiler's time grows faster than a function.
struct Block<'a, W, V, const R: usize, const P: usize> {
    product: &'a Product<'a, W>,
    i: usize,
    place: (usize, usize),
    panels: [&'a [[V; LANES]]; P],
    out: &'a mut [f32],
}

impl<W: Weight, V: Weight, const R: usize, const P: usize> Operation for Block<'_, W, V, R, P> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        self.product
            .block::<S, V, R, P>(s, self.i, self.place, self.panels, self.out);
    }
}

/// A panel's widened weights, on cache lines.
#[repr(align(64))]
struct Panel([[f32; LANES]; DEPTH]);

impl<W: Weight> Operation for GemmFloat<'_, W> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let product = Product {
            a: self.a.data,
            k: self.b.k(),
            n: self.b.n(),
            lines: self.b.data().as_chunks().0,
            epilogue: self.epilogue,
        };
        match S::TILE_PANELS {
            2 => product.all::<S, 2>(s, self.a.m, self.out),
            _ => product.all::<S, 1>(s, self.a.m, self.out),
        }
    }
}
