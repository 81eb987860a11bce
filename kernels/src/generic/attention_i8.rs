//! Attention in integers: per head, queries and keys are rounded to 8 bits and packed for the
//! tier's [`Dot`]; values and probabilities are rounded to 16 bits and packed in pairs; scores and
//! contexts are exact products of those. The reference is the definition.
#![allow(
    clippy::needless_range_loop,
    reason = "loops over the constant sizes of a tile are unrolled, its sums stay in registers"
)]

use std::ops::Range;

use super::dot::{self, Dot, Line, Pairs};
use super::rowwise::{fold_rows, lanes};
use super::simd::{LANES, MAX_TILE_ROWS, Simd};
use super::vector_math::exp2;
use super::{row_tiles, strips};
use crate::attention_bounds::{FEW_FACTOR, FEW_TOKENS, MAX_QK, MAX_V, score_factor, weight_factor};
use crate::ops::{AttentionI8, Operation};
use crate::tokens::{Tokens, aligned};

/// One head of one sequence, rounded and packed.
struct Head<'a> {
    len: usize,
    head_dim: usize,
    /// Lanes of a token's channels, and the strides of `queries` and of `block`.
    lanes: usize,
    query_stride: usize,
    block_stride: usize,
    /// Row by row.
    queries: &'a mut [i32],
    query_scales: &'a mut [f32],
    /// 16 keys row by row, before they are packed.
    block: &'a mut [i32],
    /// Panels of 16 tokens: `[ceil(len / 16)][lanes]` lines.
    keys: &'a mut [Line],
    key_scales: &'a mut [f32],
    /// Correction per key for the queries' offset (negative).
    key_offsets: &'a mut [i32],
    /// Panels of 16 channels: `[ceil(head_dim / 16)][ceil(len / 2)]` lines of pairs of tokens.
    values: &'a mut [Line],
    value_scales: &'a mut [f32],
    /// Mask for the last block: 0 for real tokens, -inf for padding.
    absent: [f32; LANES],
    /// Scores of a tile's rows, `[R][len.next_multiple_of(16)]`.
    scores: &'a mut [f32],
    /// Their probabilities, in pairs.
    weights: &'a mut [i32],
}

impl<'a> Head<'a> {
    fn new<S: Simd>(scratch: &'a mut Vec<f32>, len: usize, head_dim: usize) -> Self {
        let (tokens, channels) = (
            len.next_multiple_of(LANES),
            head_dim.next_multiple_of(LANES),
        );
        let width = S::Dot::WIDTH;
        let (lanes, query_stride) = (head_dim.div_ceil(width), channels / width);
        let block_stride = query_stride.next_multiple_of(LANES);
        let sizes = [
            tokens * lanes,
            channels * len.div_ceil(2),
            LANES * block_stride,
            tokens * query_stride,
            MAX_TILE_ROWS * tokens / 2,
            MAX_TILE_ROWS * tokens,
            tokens,
            tokens,
            tokens,
            channels,
        ];
        let mut rest = aligned(scratch, sizes.iter().sum());
        let [
            keys,
            values,
            block,
            queries,
            weights,
            scores,
            query_scales,
            key_scales,
            key_offsets,
            value_scales,
        ] = sizes.map(|size| rest.split_off_mut(..size).unwrap_or_default());
        let mut absent = [0.0; LANES];
        absent[LANES - (tokens - len)..].fill(f32::NEG_INFINITY);
        Self {
            len,
            head_dim,
            absent,
            lanes,
            query_stride,
            block_stride,
            queries: bytemuck::cast_slice_mut(queries),
            query_scales,
            block: bytemuck::cast_slice_mut(block),
            keys: bytemuck::cast_slice_mut::<_, i32>(keys).as_chunks_mut().0,
            key_scales,
            key_offsets: bytemuck::cast_slice_mut(key_offsets),
            values: bytemuck::cast_slice_mut::<_, i32>(values).as_chunks_mut().0,
            value_scales,
            scores,
            weights: bytemuck::cast_slice_mut(weights),
        }
    }

    fn stride(&self) -> usize {
        self.len.next_multiple_of(LANES)
    }

    /// Rounds the queries, whose first channel is `column`.
    #[inline(always)]
    fn pack_queries<S: Simd>(&mut self, s: S, tokens: Tokens<'_>, column: usize) {
        let factor = s.splat(score_factor(self.head_dim));
        let (columns, stride) = (column..column + self.head_dim, self.query_stride);
        for first in (0..self.len).step_by(LANES) {
            let rows = first..self.len.min(first + LANES);
            let (inverses, scales) = row_steps(s, tokens, rows.clone(), columns.clone());
            s.store_part(scales * factor, &mut self.query_scales[first..]);
            let queries = self.queries[first * stride..].chunks_exact_mut(stride);
            for ((i, inverse), query) in rows.zip(lanes(s, inverses)).zip(queries) {
                let row = &tokens.row(i)[columns.clone()];
                round_row(s, row, inverse, S::Dot::OFFSET, query);
            }
        }
    }

    /// Rounds the keys and packs them, tokens side by side; absent tokens are zeros.
    #[inline(always)]
    fn pack_keys<S: Simd>(&mut self, s: S, tokens: Tokens<'_>, column: usize) {
        let (columns, stride) = (column..column + self.head_dim, self.block_stride);
        let offset = s.splat_i32(i32::from_ne_bytes([S::Dot::OFFSET as u8; 4]));
        for (panel, lines) in self.keys.chunks_exact_mut(self.lanes).enumerate() {
            let first = panel * LANES;
            let rows = first..self.len.min(first + LANES);
            let (inverses, scales) = row_steps(s, tokens, rows.clone(), columns.clone());
            s.store_part(scales, &mut self.key_scales[first..]);
            self.block[rows.len() * stride..].fill(0);
            let block = self.block.chunks_exact_mut(stride);
            for ((i, inverse), key) in rows.zip(lanes(s, inverses)).zip(block) {
                round_row(s, &tokens.row(i)[columns.clone()], inverse, 0, key);
            }
            let mut sums = s.splat_i32(0);
            for (c, lines) in lines.chunks_mut(LANES).enumerate() {
                let mut square = [s.splat(0.0); LANES];
                for (row, key) in square.iter_mut().zip(self.block.chunks_exact(stride)) {
                    *row = s.load(bytemuck::cast_ref(&key.as_chunks::<LANES>().0[c]));
                }
                for (line, column) in lines.iter_mut().zip(s.transpose(square)) {
                    s.store(column, bytemuck::cast_mut(line));
                    if S::Dot::OFFSET != 0 {
                        sums = S::Dot::add_dot(s, sums, offset, s.load_i32(line));
                    }
                }
            }
            let offsets = &mut self.key_offsets.as_chunks_mut().0[panel];
            s.store_i32(s.splat_i32(0) - sums, offsets);
        }
    }

    /// Rounds the values and packs them, channels side by side; absent ones are zeros.
    #[inline(always)]
    fn pack_values<S: Simd>(&mut self, s: S, tokens: Tokens<'_>, column: usize) {
        let zero = s.splat(0.0);
        let panels = self.values.chunks_exact_mut(self.len.div_ceil(2));
        for (panel, lines) in panels.enumerate() {
            let left = column + panel * LANES;
            let right = left + LANES.min(self.head_dim - panel * LANES);
            let columns = left..right;
            let (mut largest, mut lost) = (zero, zero);
            for j in 0..self.len {
                let x = s.load_part(&tokens.row(j)[columns.clone()], 0.0);
                largest = s.max(s.abs(x), largest);
                lost = lost + x * zero;
            }
            let (inverses, scales) = steps(s, largest, MAX_V as f32, lost);
            s.store_part(scales, &mut self.value_scales[panel * LANES..]);
            for (g, line) in lines.iter_mut().enumerate() {
                let (mut even, mut odd) = (zero, zero);
                for (j, x) in [(2 * g, &mut even), (2 * g + 1, &mut odd)] {
                    if j < self.len {
                        *x = s.load_part(&tokens.row(j)[columns.clone()], 0.0);
                    }
                }
                let even = s.round_even(even * inverses);
                let odd = s.round_even(odd * inverses);
                s.store_i32(s.pair(even, odd), line);
            }
        }
    }

    /// Scores of rows `i..i + R` with the P panels of tokens from `panel` on.
    #[inline(always)]
    fn scores<S: Simd, const R: usize, const P: usize>(&mut self, s: S, i: usize, panel: usize) {
        let (lanes, stride) = (self.lanes, self.stride());
        let queries = strips(
            self.queries,
            i * self.query_stride,
            self.query_stride,
            lanes,
        );
        let keys = strips(self.keys, panel * lanes, lanes, lanes);
        let mut start = [s.splat_i32(0); P];
        if S::Dot::OFFSET != 0 {
            let offsets = &self.key_offsets.as_chunks().0[panel..][..P];
            for p in 0..P {
                start[p] = s.load_i32(&offsets[p]);
            }
        }
        let sums = dot::tile::<S::Dot, S, R, P>(s, queries, keys, [start; R]);
        let panels = stride / LANES;
        let query_scales = &self.query_scales[i..][..R];
        let key_scales = &self.key_scales.as_chunks().0[panel..][..P];
        let scores = &mut self.scores.as_chunks_mut().0[panel..];
        for p in 0..P {
            let key_scales = s.load(&key_scales[p]);
            let absent = if panel + p + 1 == panels {
                s.load(&self.absent)
            } else {
                s.splat(0.0)
            };
            for r in 0..R {
                let scales = s.splat(query_scales[r]) * key_scales;
                let values = s.to_f32(sums[r][p]) * scales + absent;
                s.store(values, &mut scores[r * panels + p]);
            }
        }
    }

    /// Turns R rows of scores into integer weights; returns 1 / their sums. Each step is done for
    /// all rows, so that their sums over lanes overlap in time.
    #[inline(always)]
    fn weigh<S: Simd, const R: usize>(&mut self, s: S) -> [f32; R] {
        let stride = self.stride();
        let mut largest = [0.0; R];
        for (scores, largest) in self.scores.chunks_exact(stride).zip(&mut largest) {
            let mut most = s.splat(f32::NEG_INFINITY);
            for chunk in scores.as_chunks().0 {
                most = s.max(s.load(chunk), most);
            }
            *largest = s.largest(most);
        }
        if self.len > FEW_TOKENS {
            return self.weigh_many(s, largest);
        }
        let absent = s.load(&self.absent);
        let mut inverses = [0.0; R];
        let rows = self.weights.chunks_exact_mut(stride / 2);
        let rows = rows.zip(self.scores.chunks_exact(stride));
        for ((weights, scores), (inverse, largest)) in rows.zip(inverses.iter_mut().zip(largest)) {
            let largest = s.splat(largest);
            let (mut sum, mut total) = (s.splat(0.0), s.splat_i32(0));
            let weights = weights.as_chunks_mut::<8>().0.iter_mut();
            let mut chunks = weights.zip(scores.as_chunks().0);
            let last = chunks.next_back();
            for (weights, chunk) in chunks {
                let value = exp2(s, s.load(chunk) - largest, FEW_FACTOR);
                sum = sum + value;
                let weight = s.round_even(value);
                total = total + weight;
                *weights = bytemuck::cast(s.narrow(weight));
            }
            if let Some((weights, chunk)) = last {
                let value = present(s, exp2(s, s.load(chunk) - largest, FEW_FACTOR), absent);
                sum = sum + value;
                let weight = s.round_even(value);
                total = total + weight;
                *weights = bytemuck::cast(s.narrow(weight));
            }
            *inverse = if s.any_nan(sum, sum) {
                f32::NAN
            } else {
                1.0 / s.sum_i32(total) as f32
            };
        }
        inverses
    }

    /// [`weigh`](Self::weigh) for more tokens than [`FEW_TOKENS`]: the factor needs the sum first.
    #[inline(always)]
    fn weigh_many<S: Simd, const R: usize>(&mut self, s: S, largest: [f32; R]) -> [f32; R] {
        let stride = self.stride();
        let absent = s.load(&self.absent);
        let (mut sums, mut inverses) = ([0.0; R], [0.0; R]);
        let rows = self.scores.chunks_exact_mut(stride);
        for ((scores, sum), largest) in rows.zip(&mut sums).zip(largest) {
            let largest = s.splat(largest);
            let mut all = s.splat(0.0);
            if let Some((last, chunks)) = scores.as_chunks_mut().0.split_last_mut() {
                for chunk in chunks {
                    let value = exp2(s, s.load(chunk) - largest, 1.0);
                    s.store(value, chunk);
                    all = all + value;
                }
                let value = present(s, exp2(s, s.load(last) - largest, 1.0), absent);
                s.store(value, last);
                all = all + value;
            }
            *sum = s.sum(all);
        }
        let rows = self.weights.chunks_exact_mut(stride / 2);
        let rows = rows.zip(self.scores.chunks_exact(stride));
        for ((weights, scores), (inverse, sum)) in rows.zip(inverses.iter_mut().zip(sums)) {
            let factor = s.splat(weight_factor(self.len, sum));
            let mut total = s.splat_i32(0);
            let weights = weights.as_chunks_mut::<8>().0;
            for (chunk, weights) in scores.as_chunks().0.iter().zip(weights) {
                let weight = s.round_even(s.load(chunk) * factor);
                total = total + weight;
                *weights = bytemuck::cast(s.narrow(weight));
            }
            *inverse = if sum.is_nan() {
                f32::NAN
            } else {
                1.0 / s.sum_i32(total) as f32
            };
        }
        inverses
    }

    /// Contexts of rows `i..i + R`: the P panels of channels from `panel` on.
    #[inline(always)]
    fn contexts<S: Simd, const R: usize, const P: usize>(
        &self,
        s: S,
        panel: usize,
        inverses: &[f32; R],
        rows: &mut [&mut [f32]; R],
    ) {
        let (len, stride) = (self.len.div_ceil(2), self.stride() / 2);
        let weights = strips(self.weights, 0, stride, len);
        let values = strips(self.values, panel * len, len, len);
        let zero = [[s.splat_i32(0); P]; R];
        let sums = dot::tile::<Pairs, S, R, P>(s, weights, values, zero);
        for p in 0..P {
            let left = (panel + p) * LANES;
            let scales = s.load_part(&self.value_scales[left..], 0.0);
            for r in 0..R {
                let context = s.to_f32(sums[r][p]) * (s.splat(inverses[r]) * scales);
                s.store_part(context, &mut rows[r][left..]);
            }
        }
    }

    /// Outputs of rows `i..i + R`, into `out`'s rows of `hidden` from `column` on.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const P: usize>(
        &mut self,
        s: S,
        i: usize,
        (hidden, column): (usize, usize),
        out: &mut [f32],
    ) {
        let mut panels = 0..self.stride() / LANES;
        while panels.len() >= P {
            self.scores::<S, R, P>(s, i, panels.start);
            panels.start += P;
        }
        for panel in panels {
            self.scores::<S, R, 1>(s, i, panel);
        }
        let inverses = self.weigh::<S, R>(s);
        let mut rest = out[i * hidden..].chunks_exact_mut(hidden);
        let mut rows: [&mut [f32]; R] = std::array::from_fn(|_| {
            let row = rest.next().unwrap_or_default();
            &mut row[column..][..self.head_dim]
        });
        let mut panels = 0..self.head_dim.div_ceil(LANES);
        while panels.len() >= P {
            self.contexts::<S, R, P>(s, panels.start, &inverses, &mut rows);
            panels.start += P;
        }
        for panel in panels {
            self.contexts::<S, R, 1>(s, panel, &inverses, &mut rows);
        }
    }
}

/// Zeros where `absent` is minus infinity, the values where it is 0.
#[inline(always)]
fn present<S: Simd>(s: S, x: S::F32, absent: S::F32) -> S::F32 {
    s.if_less(absent, s.splat(0.0), s.splat(0.0), x)
}

/// A row as integers, with the offset, in lanes.
#[inline(always)]
fn round_row<S: Simd>(s: S, row: &[f32], inverse: f32, offset: i32, to: &mut [i32]) {
    let (inverse, offset) = (s.splat(inverse), s.splat_i32(offset));
    let lanes = to.chunks_exact_mut(LANES / S::Dot::WIDTH);
    for (x, lanes) in row.chunks(LANES).zip(lanes) {
        let rounded = s.round_even(s.load_part(x, 0.0) * inverse);
        S::Dot::pack(s, rounded + offset, lanes);
    }
}

/// The [`steps`] of up to 16 rows of queries or keys.
#[inline(always)]
fn row_steps<S: Simd>(
    s: S,
    tokens: Tokens<'_>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> (S::F32, S::F32) {
    let zero = s.splat(0.0);
    let (mut largest, mut sum) = ([zero; LANES], zero);
    let row = |i: usize| &tokens.row(i)[columns.clone()];
    for (i, largest) in rows.clone().zip(&mut largest) {
        let (chunks, tail) = row(i).as_chunks();
        let mut most = zero;
        for chunk in chunks {
            let x = s.load(chunk);
            most = s.max(s.abs(x), most);
            sum = sum + x;
        }
        if !tail.is_empty() {
            let x = s.load_part(tail, 0.0);
            most = s.max(s.abs(x), most);
            sum = sum + x;
        }
        *largest = most;
    }
    let largest = fold_rows!(s, largest, |a, b| s.max(a, b));
    let mut lost = [0.0; LANES];
    // The sum is finite only if every value is; otherwise look at each row.
    sum = sum * zero;
    if s.any_nan(sum, sum) {
        for (i, lost) in rows.zip(&mut lost) {
            if !row(i).iter().all(|x| x.is_finite()) {
                *lost = f32::NAN;
            }
        }
    }
    steps(s, largest, MAX_QK as f32, s.load(&lost))
}

/// The factors that round 16 rows or channels, with magnitudes up to `largest`, to integers of
/// magnitude up to `most`, and the sizes of one step: as the reference's `quantize_symmetric`.
/// `lost`: NaN where a value is not finite, 0 elsewhere.
#[inline(always)]
fn steps<S: Simd>(s: S, largest: S::F32, most: f32, lost: S::F32) -> (S::F32, S::F32) {
    let most = s.splat(most);
    let (inverse, scale) = (most / largest, largest / most);
    // An infinite `inverse` becomes 0 and scale 1; a NaN in `lost` makes the scale NaN.
    let bound = s.splat(f32::INFINITY);
    let scale = s.if_less(inverse, bound, scale, s.splat(1.0)) + lost;
    (s.if_less(inverse, bound, inverse, s.splat(0.0)), scale)
}

/// The operands of [`Head::block`], so that each size of tile is a function of its own.
struct Block<'a, 'h, const R: usize, const P: usize>(
    &'a mut Head<'h>,
    usize,
    (usize, usize),
    &'a mut [f32],
);

impl<const R: usize, const P: usize> Operation for Block<'_, '_, R, P> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let Self(head, i, place, out) = self;
        head.block::<S, R, P>(s, i, place, out);
    }
}

impl Operation for AttentionI8<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let op = self.0;
        let (tokens, head_dim, out) = (op.tokens(), op.head_dim, op.out);
        let (len, hidden) = (tokens.len(), op.heads * head_dim);
        if len == 0 {
            return;
        }
        let mut head = Head::new::<S>(op.scratch, len, head_dim);
        for column in (0..hidden).step_by(head_dim) {
            head.pack_queries(s, tokens, column);
            head.pack_keys(s, tokens, hidden + column);
            head.pack_values(s, tokens, 2 * hidden + column);
            let place = (hidden, column);
            match S::TILE_PANELS {
                2 => row_tiles!(S::TILE_ROWS, 0..len, i, R, {
                    s.call(Block::<R, 2>(&mut head, i, place, out));
                }),
                _ => row_tiles!(S::TILE_ROWS, 0..len, i, R, {
                    s.call(Block::<R, 1>(&mut head, i, place, out));
                }),
            }
        }
    }
}
