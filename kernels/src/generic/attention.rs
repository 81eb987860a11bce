//! Attention: per head, keys and values are packed like panels of weights; scores and contexts are
//! then products as in `gemm_f32.rs`.

use super::gemm_f32::tile;
use super::rowwise::{dot, exponentials};
use super::simd::{LANES, MAX_TILE_ROWS, Simd, padded};
use super::{row_tiles, strips};
use crate::ops::{Attention, ClsAttention, Operation};
use crate::tokens::{Tokens, at_least};

type Line = [f32; LANES];

/// One head of one sequence: the place of its columns, and its packed keys and values.
struct Head<'a> {
    tokens: Tokens<'a>,
    /// The head's first column within `q`, within `k`, within `v` and within an output row.
    column: usize,
    head_dim: usize,
    hidden: usize,
    /// Panels of 16 tokens: `[ceil(len / 16)][head_dim]` lines.
    keys: &'a [Line],
    /// Panels of 16 channels: `[ceil(head_dim / 16)][len]` lines.
    values: &'a [Line],
}

/// Fills the panels of keys, tokens side by side; absent tokens are zeros.
#[inline(always)]
fn pack_keys<S: Simd>(s: S, tokens: Tokens<'_>, column: usize, head_dim: usize, keys: &mut [Line]) {
    let len = tokens.len();
    for (p, lines) in keys.chunks_exact_mut(head_dim).enumerate() {
        for (c, lines) in lines.chunks_mut(LANES).enumerate() {
            let left = column + c * LANES;
            let mut square = [s.splat(0.0); LANES];
            for (r, x) in square.iter_mut().enumerate() {
                if p * LANES + r < len {
                    let row = tokens.row(p * LANES + r);
                    *x = s.load_part(&row[left..left + lines.len()], 0.0);
                }
            }
            for (line, x) in lines.iter_mut().zip(s.transpose(square)) {
                s.store(x, line);
            }
        }
    }
}

/// Fills the panels of values, channels side by side.
#[inline(always)]
fn pack_values(tokens: Tokens<'_>, column: usize, head_dim: usize, values: &mut [Line]) {
    let len = tokens.len();
    for (j, row) in tokens.iter().enumerate() {
        for (p, part) in row[column..][..head_dim].chunks(LANES).enumerate() {
            values[p * len + j] = padded(part, 0.0);
        }
    }
}

impl Head<'_> {
    fn stride(&self) -> usize {
        self.tokens.len().next_multiple_of(LANES)
    }

    /// Scores of rows `i..i + R` with the P panels of tokens from `panel` on.
    #[inline(always)]
    fn scores<S: Simd, const R: usize, const P: usize>(
        &self,
        s: S,
        i: usize,
        panel: usize,
        scores: &mut [f32],
    ) {
        let (dim, stride) = (self.head_dim, self.stride());
        let factor = s.splat(1.0 / (dim as f32).sqrt());
        let mut queries = [&[][..]; R];
        for (r, query) in queries.iter_mut().enumerate() {
            *query = &self.tokens.row(i + r)[self.column..][..dim];
        }
        let keys = strips(self.keys, panel * dim, dim, dim);
        let sums: [[S::F32; P]; R] = tile(s, queries, keys, [[s.splat(0.0); P]; R]);
        for (r, sums) in sums.iter().enumerate() {
            for (p, &sum) in sums.iter().enumerate() {
                let left = r * stride + (panel + p) * LANES;
                s.store_part(sum * factor, &mut scores[left..]);
            }
        }
    }

    /// Contexts of rows `i..i + R`: the P panels of channels from `panel` on.
    #[inline(always)]
    fn contexts<S: Simd, const R: usize, const P: usize>(
        &self,
        s: S,
        i: usize,
        panel: usize,
        (weights, inverses): (&[f32], &[f32; R]),
        out: &mut [f32],
    ) {
        let (len, stride) = (self.tokens.len(), self.stride());
        let weights = strips(weights, 0, stride, len);
        let values = strips(self.values, panel * len, len, len);
        let sums: [[S::F32; P]; R] = tile(s, weights, values, [[s.splat(0.0); P]; R]);
        for (r, sums) in sums.iter().enumerate() {
            let context = &mut out[(i + r) * self.hidden + self.column..][..self.head_dim];
            for (p, &sum) in sums.iter().enumerate() {
                s.store_part(
                    sum * s.splat(inverses[r]),
                    &mut context[(panel + p) * LANES..],
                );
            }
        }
    }

    /// Outputs of rows `i..i + R`. `scores`: at least R rows of the padded length.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const P: usize>(
        &self,
        s: S,
        i: usize,
        scores: &mut [f32],
        out: &mut [f32],
    ) {
        let (len, stride) = (self.tokens.len(), self.stride());
        let mut panels = 0..stride / LANES;
        while panels.len() >= P {
            self.scores::<S, R, P>(s, i, panels.start, scores);
            panels.start += P;
        }
        for panel in panels {
            self.scores::<S, R, 1>(s, i, panel, scores);
        }
        let mut inverses = [0.0; R];
        for (r, inverse) in inverses.iter_mut().enumerate() {
            let row = &mut scores[r * stride..][..stride];
            // Absent tokens: they change neither the maximum nor, as e^-inf = 0, the sum.
            row[len..].fill(f32::NEG_INFINITY);
            *inverse = exponentials(s, row);
        }
        let weights = (&*scores, &inverses);
        let mut panels = 0..self.head_dim.div_ceil(LANES);
        while panels.len() >= P {
            self.contexts::<S, R, P>(s, i, panels.start, weights, out);
            panels.start += P;
        }
        for panel in panels {
            self.contexts::<S, R, 1>(s, i, panel, weights, out);
        }
    }
}

/// The operands of [`Head::block`], so that each size of tile is a function of its own.
struct Block<'a, const R: usize, const P: usize> {
    head: &'a Head<'a>,
    i: usize,
    scores: &'a mut [f32],
    out: &'a mut [f32],
}

impl<const R: usize, const P: usize> Operation for Block<'_, R, P> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        self.head.block::<S, R, P>(s, self.i, self.scores, self.out);
    }
}

impl Operation for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let (tokens, head_dim) = (self.tokens(), self.head_dim);
        let (hidden, out) = (self.heads * head_dim, self.out);
        let len = tokens.len();
        let stride = len.next_multiple_of(LANES);
        let (keys_len, values_len) = (stride * head_dim, len * head_dim.next_multiple_of(LANES));
        let size = keys_len + values_len + MAX_TILE_ROWS * stride;
        let (keys, rest) = at_least(self.scratch, size).split_at_mut(keys_len);
        let (values, scores) = rest.split_at_mut(values_len);
        let (keys, values) = (keys.as_chunks_mut().0, values.as_chunks_mut().0);
        for column in (0..hidden).step_by(head_dim) {
            pack_keys(s, tokens, hidden + column, head_dim, keys);
            pack_values(tokens, 2 * hidden + column, head_dim, values);
            let head = Head {
                tokens,
                column,
                head_dim,
                hidden,
                keys,
                values,
            };
            match S::TILE_PANELS {
                2 => row_tiles!(S::TILE_ROWS, 0..len, i, R, {
                    s.call(Block::<R, 2> {
                        head: &head,
                        i,
                        scores,
                        out,
                    });
                }),
                _ => row_tiles!(S::TILE_ROWS, 0..len, i, R, {
                    s.call(Block::<R, 1> {
                        head: &head,
                        i,
                        scores,
                        out,
                    });
                }),
            }
        }
    }
}

/// Weighted sums of the tokens for heads `h..h + R`, 16 channels at a time.
#[inline(always)]
fn weighted_sums<S: Simd, const R: usize>(
    s: S,
    tokens: Tokens<'_>,
    weights: &[f32],
    inverses: &[f32],
    h: usize,
    out: &mut [f32],
) {
    let (len, hidden) = (tokens.len(), tokens.width);
    let weights: [_; R] = strips(weights, h * len, len, len);
    for left in (0..hidden).step_by(LANES) {
        let columns = left..hidden.min(left + LANES);
        let mut sums = [s.splat(0.0); R];
        for (i, x) in tokens.iter().enumerate() {
            let x = s.load_part(&x[columns.clone()], 0.0);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = *sum + s.splat(weights[i]) * x;
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let context = &mut out[(h + r) * hidden..][columns.clone()];
            s.store_part(sum * s.splat(inverses[h + r]), context);
        }
    }
}

impl Operation for ClsAttention<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let (tokens, heads, hidden) = (self.tokens(), self.heads, self.hidden);
        let (t, out) = (self.t, self.out);
        let len = tokens.len();
        let scratch = at_least(self.scratch, heads * (len + 1));
        let (weights, inverses) = scratch.split_at_mut(heads * len);
        for h in 0..heads {
            let scores = &mut weights[h * len..][..len];
            for (score, x) in scores.iter_mut().zip(tokens.iter()) {
                *score = dot(s, &t[h * hidden..][..hidden], x);
            }
            inverses[h] = exponentials(s, scores);
        }
        row_tiles!(&[4, 2, 1], 0..heads, h, R, {
            weighted_sums::<S, R>(s, tokens, weights, inverses, h, out);
        });
    }
}
