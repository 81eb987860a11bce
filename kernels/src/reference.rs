//! The reference tier: each operation as its definition reads, one output at a time.
//!
//! The order of the operations here *is* the contract: other tiers must give the same bits.
//! `ops.rs` has checked every shape before.

use half::f16;

use crate::attention_i8::{MAX_QK, MAX_V, score_factor, weight_factor};
use crate::layout::{PackedF16, PackedF32, PackedI8, index_f32, index_i8, padded_k};
use crate::math::{exp, exp2_coarse, round_even};
use crate::{Activation, RowQuant};

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

/// Zero row: no value differs from 0 enough to be told from it.
const ZERO_ROW: RowQuant = RowQuant {
    scale: 1.0,
    zero: 0,
};

/// Rounds to integers up to `most` in magnitude, symmetrically: the integers, and what one step is
/// worth, NaN where a value is not finite.
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

/// A row, each value times that of the scale, where there is one.
fn scaled<'a>(row: &'a [f32], scale: Option<&'a [f32]>) -> impl Iterator<Item = f32> + Clone + 'a {
    row.iter()
        .enumerate()
        .map(move |(d, &x)| scale.map_or(x, |scale| x * scale[d]))
}

pub(crate) fn quantize_u8(
    x: &[f32],
    scale: Option<&[f32]>,
    m: usize,
    k: usize,
    out: &mut [u8],
    params: &mut [RowQuant],
) {
    out.fill(0);
    for i in 0..m {
        let mut row = scaled(&x[i * k..(i + 1) * k], scale);
        let low = row
            .clone()
            .fold(0.0_f32, |low, x| if x < low { x } else { low });
        let high = row
            .clone()
            .fold(0.0_f32, |high, x| if x > high { x } else { high });
        let range = high - low;
        let inverse = 255.0 / range;
        if !range.is_finite() || row.clone().any(f32::is_nan) {
            params[i] = RowQuant {
                scale: f32::NAN,
                zero: 0,
            };
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

pub(crate) fn quantize_i16(
    x: &[f32],
    scale: Option<&[f32]>,
    m: usize,
    k: usize,
    hi: &mut [u8],
    lo: &mut [u8],
    scales: &mut [f32],
) {
    let stride = padded_k(k);
    for i in 0..m {
        let row = scaled(&x[i * k..(i + 1) * k], scale);
        let (rounded, step) = quantize_symmetric(row, 32767);
        scales[i] = step;
        for d in 0..stride {
            let bits = rounded.get(d).unwrap_or(&0) + 32768;
            hi[i * stride + d] = (bits >> 8) as u8;
            lo[i * stride + d] = (bits & 255) as u8;
        }
    }
}

/// `sum_d a[d] * w[j][d]`, exact.
fn dot_i8(a: &[u8], b: &PackedI8<'_>, j: usize) -> i32 {
    (0..b.k())
        .map(|d| i32::from(a[d]) * i32::from(b.data()[index_i8(j, d, b.k())]))
        .sum()
}

pub(crate) fn gemm_i8(
    a: &[u8],
    params: &[RowQuant],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    for i in 0..m {
        let row = &a[i * padded_k(b.k())..];
        let RowQuant { scale, zero } = params[i];
        for j in 0..b.n() {
            let sum = dot_i8(row, b, j).wrapping_sub(zero.wrapping_mul(b.sums()[j]));
            out[i * b.n() + j] = act.apply(sum as f32 * (scale * b.scales()[j]) + bias[j]);
        }
    }
}

pub(crate) fn gemm_i8_a16(
    hi: &[u8],
    lo: &[u8],
    scales: &[f32],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    for i in 0..m {
        let start = i * padded_k(b.k());
        for j in 0..b.n() {
            let high = dot_i8(&hi[start..], b, j).wrapping_sub(b.sums()[j].wrapping_mul(128));
            let low = dot_i8(&lo[start..], b, j);
            let sum = high as f32 * 256.0 + low as f32;
            out[i * b.n() + j] = act.apply(sum * (scales[i] * b.scales()[j]) + bias[j]);
        }
    }
}

/// The f32 and f16 products: `weight` gives the f32 at a packed index.
fn gemm_float(
    a: &[f32],
    m: usize,
    n: usize,
    k: usize,
    weight: impl Fn(usize) -> f32,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    for i in 0..m {
        for j in 0..n {
            let sum = sum_in_order((0..k).map(|d| a[i * k + d] * weight(index_f32(j, d, k))));
            out[i * n + j] = act.apply(sum + bias[j]);
        }
    }
}

pub(crate) fn gemm_f32(
    a: &[f32],
    m: usize,
    b: &PackedF32<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    gemm_float(a, m, b.n(), b.k(), |i| b.data()[i], bias, act, out);
}

pub(crate) fn gemm_f16(
    a: &[f32],
    m: usize,
    b: &PackedF16<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    gemm_float(a, m, b.n(), b.k(), |i| b.data()[i].to_f32(), bias, act, out);
}

pub(crate) fn layer_norm(
    x: &mut [f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    m: usize,
    n: usize,
) {
    for i in 0..m {
        let row = &mut x[i * n..(i + 1) * n];
        let mean = sum(row.iter().copied()) / n as f32;
        let variance = sum(row.iter().map(|&x| (x - mean) * (x - mean))) / n as f32;
        let inverse = 1.0 / (variance + eps).sqrt();
        for (j, x) in row.iter_mut().enumerate() {
            *x = ((*x - mean) * inverse) * weight[j] + bias[j];
        }
    }
}

pub(crate) fn add_layer_norm(
    x: &mut [f32],
    delta: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    m: usize,
    n: usize,
) {
    for (x, delta) in x.iter_mut().zip(delta) {
        *x += delta;
    }
    layer_norm(x, weight, bias, eps, m, n);
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

pub(crate) fn softmax(x: &mut [f32]) {
    let inverse = exponentials(x);
    for x in x {
        *x *= inverse;
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
    let len = (prefix.len() + rows.len()) / (3 * hidden);
    let token = |i: usize| {
        let start = i * 3 * hidden;
        if start < prefix.len() {
            &prefix[start..]
        } else {
            &rows[start - prefix.len()..]
        }
    };
    let factor = 1.0 / (head_dim as f32).sqrt();
    scratch.resize(len, 0.0);
    for h in 0..heads {
        for i in 0..len {
            let q = &token(i)[h * head_dim..];
            for (j, score) in scratch.iter_mut().enumerate() {
                let key = &token(j)[hidden + h * head_dim..];
                *score = sum_in_order((0..head_dim).map(|d| q[d] * key[d])) * factor;
            }
            let inverse = exponentials(scratch);
            for d in 0..head_dim {
                let value = |j: usize| token(j)[2 * hidden + h * head_dim + d];
                let context = sum_in_order((0..len).map(|j| scratch[j] * value(j)));
                out[i * hidden + h * head_dim + d] = context * inverse;
            }
        }
    }
}

/// Integers, multiplied and summed: exact, as `attention_i8.rs` shows.
fn dot_integers(a: &[i32], b: impl Iterator<Item = i32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<i32>() as f32
}

pub(crate) fn attention_i8(
    prefix: &[f32],
    rows: &[f32],
    heads: usize,
    head_dim: usize,
    scratch: &mut Vec<f32>,
    out: &mut [f32],
) {
    let hidden = heads * head_dim;
    let tokens: Vec<&[f32]> = prefix
        .chunks_exact(3 * hidden)
        .chain(rows.chunks_exact(3 * hidden))
        .collect();
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
            scratch.clear();
            scratch.extend(keys.iter().map(|(key, key_scale)| {
                dot_integers(&q, key.iter().copied()) * (scale * key_scale)
            }));
            let largest = largest(scratch);
            for x in scratch.iter_mut() {
                *x = exp2_coarse(*x - largest);
            }
            let sum = sum(scratch.iter().copied());
            let factor = weight_factor(tokens.len(), sum);
            let weights: Vec<i32> = match sum.is_nan() {
                true => vec![0; scratch.len()],
                false => scratch.iter().map(|x| round_even(x * factor)).collect(),
            };
            let inverse = match sum.is_nan() {
                true => f32::NAN,
                false => 1.0 / weights.iter().sum::<i32>() as f32,
            };
            for (d, (value, value_scale)) in values.iter().enumerate() {
                let context = dot_integers(&weights, value.iter().copied());
                out[i * hidden + column + d] = context * (inverse * value_scale);
            }
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
    let tokens = || prefix.chunks_exact(hidden).chain(rows.chunks_exact(hidden));
    for h in 0..heads {
        scratch.clear();
        scratch.extend(tokens().map(|x| dot(&t[h * hidden..(h + 1) * hidden], x)));
        let inverse = exponentials(scratch);
        for c in 0..hidden {
            let context = sum_in_order(tokens().zip(scratch.iter()).map(|(x, p)| p * x[c]));
            out[h * hidden + c] = context * inverse;
        }
    }
}

pub(crate) fn activate(act: Activation, x: &mut [f32]) {
    for x in x {
        *x = act.apply(*x);
    }
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a.iter().zip(b).map(|(a, b)| a * b))
}

pub(crate) fn add_scaled_i8(row: &[i8], scale: f32, out: &mut [f32]) {
    for (out, &w) in out.iter_mut().zip(row) {
        *out += scale * f32::from(w);
    }
}

pub(crate) fn widen_f16(src: &[f16], dst: &mut [f32]) {
    for (dst, src) in dst.iter_mut().zip(src) {
        *dst = src.to_f32();
    }
}
