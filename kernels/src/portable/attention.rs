//! Attention: per head, keys and values are packed as panels of weights would be, and then
//! scores and contexts are the matrix products of `gemm_f32.rs`.

use wide::f32x8;

use super::gemm_f32::{Line, tile};
use super::rowwise::{dot_lanes, exponentials};
use super::{load, row_blocks, store};
use crate::layout::PANEL;
use crate::tokens::{Tokens, at_least};

/// One head of one sequence: where its columns are, and its packed keys and values.
struct Head<'a> {
    tokens: Tokens<'a>,
    /// First of the head's columns in a row's q, in its k, in its v and in an output row.
    column: usize,
    head_dim: usize,
    hidden: usize,
    /// Panels of 16 tokens: `[ceil(len / 16)][head_dim]` lines.
    keys: &'a [Line],
    /// Panels of 16 channels: `[ceil(head_dim / 16)][len]` lines.
    values: &'a [Line],
}

/// Fills the panels of keys, tokens side by side. Absent tokens are left as they are: what is
/// computed from them is never read.
fn pack_keys(tokens: Tokens<'_>, column: usize, head_dim: usize, keys: &mut [Line]) {
    for (j, row) in tokens.iter().enumerate() {
        let lines = &mut keys[j / PANEL * head_dim..][..head_dim];
        for (line, &key) in lines.iter_mut().zip(&row[column..]) {
            line[j % PANEL] = key;
        }
    }
}

/// Fills the panels of values, channels side by side, likewise.
fn pack_values(tokens: Tokens<'_>, column: usize, head_dim: usize, values: &mut [Line]) {
    let len = tokens.len();
    for (j, row) in tokens.iter().enumerate() {
        for (p, part) in row[column..][..head_dim].chunks(PANEL).enumerate() {
            values[p * len + j][..part.len()].copy_from_slice(part);
        }
    }
}

/// Outputs of rows `i..i + R`. `scores`: at least R rows of the padded length.
#[inline(always)]
fn block<const R: usize>(head: &Head<'_>, i: usize, scores: &mut [f32], out: &mut [f32]) {
    let &Head {
        tokens,
        column,
        head_dim,
        hidden,
        keys,
        values,
    } = head;
    let len = tokens.len();
    let stride = len.next_multiple_of(PANEL);
    let zero = [f32x8::splat(0.0); R];
    let factor = f32x8::splat(1.0 / (head_dim as f32).sqrt());
    let queries: [_; R] = std::array::from_fn(|r| &tokens.row(i + r)[column..][..head_dim]);
    for (p, lines) in keys.chunks_exact(head_dim).enumerate() {
        for half in 0..2 {
            for (r, sum) in tile(queries, lines, half, zero).into_iter().enumerate() {
                store(
                    sum * factor,
                    &mut scores[r * stride + p * PANEL + half * 8..][..8],
                );
            }
        }
    }
    let inverses: [f32; R] =
        std::array::from_fn(|r| exponentials(&mut scores[r * stride..][..len]));
    let weights: [_; R] = std::array::from_fn(|r| &scores[r * stride..][..len]);
    for (p, lines) in values.chunks_exact(len).enumerate() {
        for (half, left) in [p * PANEL, p * PANEL + 8].into_iter().enumerate() {
            if left >= head_dim {
                break;
            }
            let width = 8.min(head_dim - left);
            for (r, sum) in tile(weights, lines, half, zero).into_iter().enumerate() {
                let context = &mut out[(i + r) * hidden + column + left..][..width];
                store(sum * f32x8::splat(inverses[r]), context);
            }
        }
    }
}

pub(crate) fn attention(
    prefix: &[f32],
    rows: &[f32],
    heads: usize,
    head_dim: usize,
    scratch: &mut Vec<f32>,
    out: &mut [f32],
) {
    let hidden = heads * head_dim;
    let tokens = Tokens {
        prefix,
        rows,
        width: 3 * hidden,
    };
    let len = tokens.len();
    let stride = len.next_multiple_of(PANEL);
    let (keys_len, values_len) = (stride * head_dim, len * head_dim.next_multiple_of(PANEL));
    let scratch = at_least(scratch, keys_len + values_len + 4 * stride);
    let (keys, scratch) = scratch.split_at_mut(keys_len);
    let (values, scores) = scratch.split_at_mut(values_len);
    let (keys, values) = (keys.as_chunks_mut().0, values.as_chunks_mut().0);
    for column in (0..hidden).step_by(head_dim) {
        pack_keys(tokens, hidden + column, head_dim, keys);
        pack_values(tokens, 2 * hidden + column, head_dim, values);
        let head = Head {
            tokens,
            column,
            head_dim,
            hidden,
            keys,
            values,
        };
        row_blocks!(len, i, block(&head, i, scores, out));
    }
}

/// Weighted sums of the tokens for heads `h..h + R`, 8 channels at a time.
#[inline(always)]
fn weighted_sums<const R: usize>(
    tokens: Tokens<'_>,
    weights: &[f32],
    inverses: &[f32],
    h: usize,
    out: &mut [f32],
) {
    let (len, hidden) = (tokens.len(), tokens.width);
    let weights: [_; R] = std::array::from_fn(|r| &weights[(h + r) * len..][..len]);
    for left in (0..hidden).step_by(8) {
        let columns = left..hidden.min(left + 8);
        let mut sums = [f32x8::splat(0.0); R];
        for (i, x) in tokens.iter().enumerate() {
            let x = load(&x[columns.clone()]);
            for r in 0..R {
                sums[r] += f32x8::splat(weights[r][i]) * x;
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let context = &mut out[(h + r) * hidden..][columns.clone()];
            store(sum * f32x8::splat(inverses[h + r]), context);
        }
    }
}

pub(crate) fn cls_attention(
    t: &[f32],
    prefix: &[f32],
    rows: &[f32],
    heads: usize,
    hidden: usize,
    scratch: &mut Vec<f32>,
    out: &mut [f32],
) {
    let tokens = Tokens {
        prefix,
        rows,
        width: hidden,
    };
    let len = tokens.len();
    let (weights, inverses) = at_least(scratch, heads * (len + 1)).split_at_mut(heads * len);
    for h in 0..heads {
        let scores = &mut weights[h * len..][..len];
        for (score, x) in scores.iter_mut().zip(tokens.iter()) {
            *score = dot_lanes(&t[h * hidden..][..hidden], x);
        }
        inverses[h] = exponentials(scores);
    }
    row_blocks!(heads, h, weighted_sums(tokens, weights, inverses, h, out));
}
