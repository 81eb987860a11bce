//! The reference tier: each operation as its definition reads, one output at a time.
//!
//! The order of the operations here *is* the contract: other tiers must give the same bits.
//! `ops/` has checked every shape.

use crate::attention_bounds::{MAX_QK, MAX_V, score_factor, weight_factor};
use crate::layout::{PackedI8, index_f32, index_i8, padded_k};
use crate::math::{exp, exp2_coarse, round_even};
use crate::ops::{
    Activate, AddScaledI8, Attention, AttentionI8, ClsAttention, Dot, GemmFloat, GemmI8, GemmI8A16,
    LayerNorm, QuantizeI16, QuantizeU8, Softmax, WidenF16,
};
use crate::{RowQuant, Rows, RowsI16Mut, RowsU8Mut};

/// Sum by 16 lanes and one tree, the order of every long sum of floats.
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0_f32; 16];
    for (i, value) in values.enumerate() {
        lanes[i % 16] += value;
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

/// Sum with one accumulator, ascending: the order of matrix products.
fn sum_in_order(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |sum, value| sum + value)
}

/// A row of zeros, or too small to quantise.
const ZERO_ROW: RowQuant = RowQuant {
    scale: 1.0,
    zero: 0,
};

/// A row with a NaN, or of infinite range.
const NAN_ROW: RowQuant = RowQuant {
    scale: f32::NAN,
    zero: 0,
};

/// Rounds symmetrically to integers of magnitude up to `most`. Returns the integers and the size
/// of one step, which is NaN if a value is not finite.
fn quantize_symmetric(x: impl Iterator<Item = f32> + Clone, most: i32) -> (Vec<i32>, f32) {
    let largest = x
        .clone()
        .fold(0.0_f32, |a, x| if x.abs() > a { x.abs() } else { a });
    let inverse = most as f32 / largest;
    let finite = x.clone().all(f32::is_finite);
    if finite && inverse.is_finite() {
        let rounded = x.map(|x| round_even(x * inverse)).collect();
        return (rounded, largest / most as f32);
    }
    (vec![0; x.count()], if finite { 1.0 } else { f32::NAN })
}

/// A row, each value times its factor where there is a scale.
fn scaled<'a>(row: &'a [f32], scale: Option<&'a [f32]>) -> impl Iterator<Item = f32> + Clone + 'a {
    row.iter()
        .enumerate()
        .map(move |(d, &x)| scale.map_or(x, |scale| x * scale[d]))
}

pub(crate) fn quantize_u8(op: QuantizeU8<'_>) {
    let Rows { data: x, m, k } = op.x;
    let RowsU8Mut { data: out, params } = op.out;
    out.fill(0);
    for i in 0..m {
        let mut row = scaled(&x[i * k..(i + 1) * k], op.scale);
        let low = row
            .clone()
            .fold(0.0_f32, |low, x| if x < low { x } else { low });
        let high = row
            .clone()
            .fold(0.0_f32, |high, x| if x > high { x } else { high });
        let range = high - low;
        let inverse = 255.0 / range;
        if !range.is_finite() || row.clone().any(f32::is_nan) {
            params[i] = NAN_ROW;
            continue;
        }
        if !inverse.is_finite() {
            params[i] = ZERO_ROW;
            continue;
        }
        let zero = round_even(-low * inverse);
        params[i] = RowQuant {
            scale: range / 255.0,
            zero,
        };
        for (q, x) in out[i * padded_k(k)..].iter_mut().zip(&mut row) {
            *q = (round_even(x * inverse) + zero).clamp(0, 255) as u8;
        }
    }
}

pub(crate) fn quantize_i16(op: QuantizeI16<'_>) {
    let Rows { data: x, m, k } = op.x;
    let RowsI16Mut { high, low, scales } = op.out;
    let stride = padded_k(k);
    for i in 0..m {
        let row = scaled(&x[i * k..(i + 1) * k], op.scale);
        let (rounded, step) = quantize_symmetric(row, 32767);
        scales[i] = step;
        for d in 0..stride {
            let bits = rounded.get(d).unwrap_or(&0) + 32768;
            high[i * stride + d] = (bits >> 8) as u8;
            low[i * stride + d] = (bits & 255) as u8;
        }
    }
}

/// `sum_d a[d] * w[j][d]`, exact.
fn dot_i8(a: &[u8], b: &PackedI8<'_>, j: usize) -> i32 {
    (0..b.k())
        .map(|d| i32::from(a[d]) * i32::from(b.data()[index_i8(j, d, b.k())]))
        .sum()
}

pub(crate) fn gemm_i8(op: GemmI8<'_>) {
    let (a, b, epilogue) = (op.a, op.b, op.epilogue);
    for (i, &RowQuant { scale, zero }) in a.params.iter().enumerate() {
        let row = &a.data[i * padded_k(b.k())..];
        for j in 0..b.n() {
            let sum = dot_i8(row, &b, j).wrapping_sub(zero.wrapping_mul(b.sums()[j]));
            let value = sum as f32 * (scale * b.scales()[j]) + epilogue.bias[j];
            op.out[i * b.n() + j] = epilogue.act.apply(value);
        }
    }
}

pub(crate) fn gemm_i8_a16(op: GemmI8A16<'_>) {
    let (a, b, epilogue) = (op.a, op.b, op.epilogue);
    for (i, scale) in a.scales.iter().enumerate() {
        let start = i * padded_k(b.k());
        for j in 0..b.n() {
            let high = dot_i8(&a.high[start..], &b, j).wrapping_sub(b.sums()[j].wrapping_mul(128));
            let low = dot_i8(&a.low[start..], &b, j);
            let sum = high as f32 * 256.0 + low as f32;
            let value = sum * (scale * b.scales()[j]) + epilogue.bias[j];
            op.out[i * b.n() + j] = epilogue.act.apply(value);
        }
    }
}

/// The f32 and f16 products.
pub(crate) fn gemm_float<T: Copy + Into<f32>>(op: GemmFloat<'_, T>) {
    let Rows { data: a, m, k } = op.a;
    let (b, epilogue, n) = (op.b, op.epilogue, op.b.n());
    let weight = |i: usize| -> f32 { b.data()[i].into() };
    for i in 0..m {
        for j in 0..n {
            let sum = sum_in_order((0..k).map(|d| a[i * k + d] * weight(index_f32(j, d, k))));
            op.out[i * n + j] = epilogue.act.apply(sum + epilogue.bias[j]);
        }
    }
}

pub(crate) fn layer_norm(op: LayerNorm<'_>) {
    for (x, delta) in op.x.iter_mut().zip(op.delta.unwrap_or_default()) {
        *x += delta;
    }
    let n = op.weight.len();
    for row in op.x.chunks_exact_mut(n.max(1)) {
        let mean = sum(row.iter().copied()) / n as f32;
        let variance = sum(row.iter().map(|&x| (x - mean) * (x - mean))) / n as f32;
        let inverse = 1.0 / (variance + op.eps).sqrt();
        for (j, x) in row.iter_mut().enumerate() {
            *x = ((*x - mean) * inverse) * op.weight[j] + op.bias[j];
        }
    }
}

/// The largest number; minus infinity of none.
fn largest(x: &[f32]) -> f32 {
    x.iter()
        .fold(f32::NEG_INFINITY, |a, &x| if x > a { x } else { a })
}

/// Replaces scores by `e^(score - max)`; returns 1 / their sum.
fn exponentials(x: &mut [f32]) -> f32 {
    let largest = largest(x);
    for x in x.iter_mut() {
        *x = exp(*x - largest);
    }
    1.0 / sum(x.iter().copied())
}

pub(crate) fn softmax(Softmax(x): Softmax<'_>) {
    let inverse = exponentials(x);
    for x in x {
        *x *= inverse;
    }
}

pub(crate) fn attention(op: Attention<'_>) {
    let (tokens, heads, head_dim) = (op.tokens(), op.heads, op.head_dim);
    let (len, hidden) = (tokens.len(), heads * head_dim);
    let (scores, out) = (op.scratch, op.out);
    let factor = 1.0 / (head_dim as f32).sqrt();
    scores.resize(len, 0.0);
    for h in 0..heads {
        for i in 0..len {
            let q = &tokens.row(i)[h * head_dim..];
            for (j, score) in scores.iter_mut().enumerate() {
                let key = &tokens.row(j)[hidden + h * head_dim..];
                *score = sum_in_order((0..head_dim).map(|d| q[d] * key[d])) * factor;
            }
            let inverse = exponentials(scores);
            for d in 0..head_dim {
                let value = |j: usize| tokens.row(j)[2 * hidden + h * head_dim + d];
                let context = sum_in_order((0..len).map(|j| scores[j] * value(j)));
                out[i * hidden + h * head_dim + d] = context * inverse;
            }
        }
    }
}

/// The product of two vectors of integers, exact: `attention_bounds.rs` shows why.
fn dot_integers(a: &[i32], b: impl Iterator<Item = i32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<i32>() as f32
}

/// Replaces scores by exponentials; returns their integer weights and 1 / the weights' sum.
fn integer_weights(scores: &mut [f32]) -> (Vec<i32>, f32) {
    let largest = largest(scores);
    for x in scores.iter_mut() {
        *x = exp2_coarse(*x - largest);
    }
    let sum = sum(scores.iter().copied());
    if sum.is_nan() {
        return (vec![0; scores.len()], f32::NAN);
    }
    let factor = weight_factor(scores.len(), sum);
    let weights: Vec<i32> = scores.iter().map(|x| round_even(x * factor)).collect();
    let inverse = 1.0 / weights.iter().sum::<i32>() as f32;
    (weights, inverse)
}

pub(crate) fn attention_i8(AttentionI8(op): AttentionI8<'_>) {
    let (head_dim, hidden) = (op.head_dim, op.heads * op.head_dim);
    let tokens: Vec<&[f32]> = op.tokens().iter().collect();
    let (scores, out) = (op.scratch, op.out);
    for column in (0..hidden).step_by(head_dim) {
        let part = |i: usize, first: usize| tokens[i][first + column..][..head_dim].iter().copied();
        let keys: Vec<_> = (0..tokens.len())
            .map(|j| quantize_symmetric(part(j, hidden), MAX_QK))
            .collect();
        let values: Vec<_> = (0..head_dim)
            .map(|d| quantize_symmetric(tokens.iter().map(|x| x[2 * hidden + column + d]), MAX_V))
            .collect();
        for i in 0..tokens.len() {
            let (q, scale) = quantize_symmetric(part(i, 0), MAX_QK);
            let scale = scale * score_factor(head_dim);
            scores.clear();
            scores.extend(keys.iter().map(|(key, key_scale)| {
                dot_integers(&q, key.iter().copied()) * (scale * key_scale)
            }));
            let (weights, inverse) = integer_weights(scores);
            for (d, (value, value_scale)) in values.iter().enumerate() {
                let context = dot_integers(&weights, value.iter().copied());
                out[i * hidden + column + d] = context * (inverse * value_scale);
            }
        }
    }
}

pub(crate) fn cls_attention(op: ClsAttention<'_>) {
    let (tokens, hidden, scores) = (op.tokens(), op.hidden, op.scratch);
    for h in 0..op.heads {
        let t = &op.t[h * hidden..(h + 1) * hidden];
        scores.clear();
        scores.extend(tokens.iter().map(|x| dot(Dot { a: t, b: x })));
        let inverse = exponentials(scores);
        for c in 0..hidden {
            let terms = tokens.iter().zip(scores.iter());
            let context = sum_in_order(terms.map(|(x, p)| p * x[c]));
            op.out[h * hidden + c] = context * inverse;
        }
    }
}

pub(crate) fn activate(Activate { act, x }: Activate<'_>) {
    for x in x {
        *x = act.apply(*x);
    }
}

pub(crate) fn dot(Dot { a, b }: Dot<'_>) -> f32 {
    sum(a.iter().zip(b).map(|(a, b)| a * b))
}

pub(crate) fn add_scaled_i8(AddScaledI8 { row, scale, out }: AddScaledI8<'_>) {
    for (out, &w) in out.iter_mut().zip(row) {
        *out += scale * f32::from(w);
    }
}

pub(crate) fn widen_f16(WidenF16 { src, dst }: WidenF16<'_>) {
    for (dst, src) in dst.iter_mut().zip(src) {
        *dst = src.to_f32();
    }
}
