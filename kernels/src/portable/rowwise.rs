//! Quantisation, normalisation, softmax and the other operations that walk along rows.

use bytemuck::cast;
use half::f16;
use half::slice::HalfFloatSliceExt;
use wide::{f32x8, i16x8, i32x8, u8x16};

use super::{load, math, store};
use crate::{Activation, RowQuant, padded_k};

/// Replaces each value by `f` of it.
#[inline(always)]
fn map(x: &mut [f32], f: impl Fn(f32x8) -> f32x8) {
    for chunk in x.chunks_mut(8) {
        store(f(load(chunk)), chunk);
    }
}

/// Folds chunks of 8, the last filled with `fill`.
#[inline(always)]
fn fold(x: &[f32], fill: f32, init: f32x8, f: impl Fn(f32x8, f32x8) -> f32x8) -> f32x8 {
    let (chunks, tail) = x.as_chunks();
    let folded = chunks
        .iter()
        .fold(init, |folded, &chunk| f(folded, f32x8::new(chunk)));
    if tail.is_empty() {
        return folded;
    }
    let mut padded = [fill; 8];
    padded[..tail.len()].copy_from_slice(tail);
    f(folded, f32x8::new(padded))
}

#[inline(always)]
fn max(a: f32x8, b: f32x8) -> f32x8 {
    b.simd_gt(a).select(b, a)
}

#[inline(always)]
fn max_lane(x: f32x8) -> f32 {
    x.to_array()
        .into_iter()
        .reduce(|a, b| if b > a { b } else { a })
        .unwrap_or_default()
}

/// The tree of the reference's `sum`: 16 lanes, then 8, 4, 2, 1.
#[inline(always)]
fn sum_lanes(low: f32x8, high: f32x8) -> f32 {
    let [a, b, c, d, e, f, g, h] = (low + high).to_array();
    let [a, b, c, d] = [a + e, b + f, c + g, d + h];
    (a + c) + (b + d)
}

/// Sum of `f(x[i])` by 16 lanes.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32x8) -> f32x8) -> f32 {
    let (mut low, mut high) = (f32x8::splat(0.0), f32x8::splat(0.0));
    let (chunks, tail) = x.as_chunks::<16>();
    for chunk in chunks {
        low += f(load(&chunk[..8]));
        high += f(load(&chunk[8..]));
    }
    // Masked after `f`, which need not be 0 at 0.
    let masked = |tail: &[f32]| {
        let mut values = f(load(tail)).to_array();
        values[tail.len().min(8)..].fill(0.0);
        f32x8::new(values)
    };
    if !tail.is_empty() {
        low += masked(&tail[..tail.len().min(8)]);
        high += masked(&tail[tail.len().min(8)..]);
    }
    sum_lanes(low, high)
}

#[inline(always)]
pub(super) fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    let (mut low, mut high) = (f32x8::splat(0.0), f32x8::splat(0.0));
    let ((a_chunks, a_tail), (b_chunks, b_tail)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        low += load(&a[..8]) * load(&b[..8]);
        high += load(&a[8..]) * load(&b[8..]);
    }
    let half = a_tail.len().min(8);
    low += load(&a_tail[..half]) * load(&b_tail[..half]);
    high += load(&a_tail[half..]) * load(&b_tail[half..]);
    sum_lanes(low, high)
}

/// 16 integers to bytes, clamped to 0..=255.
#[inline(always)]
fn to_bytes(q: [i32x8; 2]) -> u8x16 {
    u8x16::narrow_i16x8(
        i16x8::from_i32x8_saturate(q[0]),
        i16x8::from_i32x8_saturate(q[1]),
    )
}

/// Stores as many of the 16 bytes as `out` takes.
#[inline(always)]
fn store_bytes(value: u8x16, out: &mut [u8]) {
    match out.first_chunk_mut() {
        Some(chunk) => *chunk = value.to_array(),
        None => out.copy_from_slice(&value.to_array()[..out.len()]),
    }
}

/// Lowest and highest value of a row and 0, and whether it has a NaN.
#[inline(always)]
fn range(row: &[f32]) -> (f32, f32, bool) {
    let zero = f32x8::splat(0.0);
    let low = fold(row, 0.0, zero, |low, x| x.simd_lt(low).select(x, low));
    let high = fold(row, 0.0, zero, max);
    let nan = fold(row, 0.0, zero, |nan, x| nan | x.simd_ne(x));
    (-max_lane(-low), max_lane(high), nan.any())
}

pub(crate) fn quantize_u8(x: &[f32], m: usize, k: usize, out: &mut [u8], params: &mut [RowQuant]) {
    let stride = padded_k(k);
    for i in 0..m {
        let row = &x[i * k..(i + 1) * k];
        let (bytes, padding) = out[i * stride..(i + 1) * stride].split_at_mut(k);
        padding.fill(0);
        let (low, high, nan) = range(row);
        let range = high - low;
        let inverse = 255.0 / range;
        if nan || !range.is_finite() || !inverse.is_finite() {
            bytes.fill(0);
            let scale = if nan || !range.is_finite() {
                f32::NAN
            } else {
                1.0
            };
            params[i] = RowQuant { scale, zero: 0 };
            continue;
        }
        let zero = crate::math::round_even(-low * inverse);
        params[i] = RowQuant {
            scale: range / 255.0,
            zero,
        };
        let quantize = |x| math::round_even(load(x) * f32x8::splat(inverse)) + i32x8::splat(zero);
        for (x, bytes) in row.chunks(16).zip(bytes.chunks_mut(16)) {
            let (left, right) = x.split_at(x.len().min(8));
            store_bytes(to_bytes([quantize(left), quantize(right)]), bytes);
        }
    }
}

pub(crate) fn quantize_i16(
    x: &[f32],
    m: usize,
    k: usize,
    hi: &mut [u8],
    lo: &mut [u8],
    scales: &mut [f32],
) {
    let stride = padded_k(k);
    // q = 0, which the padding and unusable rows keep.
    hi.fill(128);
    lo.fill(0);
    for i in 0..m {
        let row = &x[i * k..(i + 1) * k];
        let (low, high, nan) = range(row);
        let largest = if -low > high { -low } else { high };
        let inverse = 32767.0 / largest;
        if nan || !largest.is_finite() || !inverse.is_finite() {
            scales[i] = if nan || !largest.is_finite() {
                f32::NAN
            } else {
                1.0
            };
            continue;
        }
        scales[i] = largest / 32767.0;
        let quantize = |x| math::round_even(load(x) * f32x8::splat(inverse)) + i32x8::splat(32768);
        let planes = hi[i * stride..][..k]
            .chunks_mut(16)
            .zip(lo[i * stride..][..k].chunks_mut(16));
        for (x, (hi, lo)) in row.chunks(16).zip(planes) {
            let (left, right) = x.split_at(x.len().min(8));
            let q = [quantize(left), quantize(right)];
            store_bytes(to_bytes(q.map(|q| q >> 8)), hi);
            store_bytes(to_bytes(q.map(|q| q & i32x8::splat(255))), lo);
        }
    }
}

#[inline(always)]
fn layer_norm_row(row: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let n = row.len() as f32;
    let mean = f32x8::splat(sum(row, |x| x) / n);
    let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
    let inverse = f32x8::splat(1.0 / (variance + eps).sqrt());
    for ((x, weight), bias) in row.chunks_mut(8).zip(weight.chunks(8)).zip(bias.chunks(8)) {
        store(((load(x) - mean) * inverse) * load(weight) + load(bias), x);
    }
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
        layer_norm_row(&mut x[i * n..(i + 1) * n], weight, bias, eps);
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
    for i in 0..m {
        let row = &mut x[i * n..(i + 1) * n];
        for (x, delta) in row.chunks_mut(8).zip(delta[i * n..(i + 1) * n].chunks(8)) {
            store(load(x) + load(delta), x);
        }
        layer_norm_row(row, weight, bias, eps);
    }
}

/// Replaces scores by `e^(score - max)`; returns 1 / their sum.
#[inline]
pub(super) fn exponentials(x: &mut [f32]) -> f32 {
    let lowest = f32::NEG_INFINITY;
    let largest = f32x8::splat(max_lane(fold(x, lowest, f32x8::splat(lowest), max)));
    map(x, |x| math::exp(x - largest));
    1.0 / sum(x, |x| x)
}

pub(crate) fn softmax(x: &mut [f32]) {
    let inverse = f32x8::splat(exponentials(x));
    map(x, |x| x * inverse);
}

pub(crate) fn activate(act: Activation, x: &mut [f32]) {
    map(x, |x| math::apply(act, x));
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dot_lanes(a, b)
}

pub(crate) fn add_scaled_i8(row: &[i8], scale: f32, out: &mut [f32]) {
    let (rows, row_tail) = row.as_chunks::<8>();
    let (outs, out_tail) = out.as_chunks_mut::<8>();
    for (row, out) in rows.iter().zip(outs) {
        let weights: i32x8 = cast(row.map(i32::from));
        *out = (f32x8::new(*out) + f32x8::splat(scale) * weights.round_float()).to_array();
    }
    crate::reference::add_scaled_i8(row_tail, scale, out_tail);
}

pub(crate) fn widen_f16(src: &[f16], dst: &mut [f32]) {
    src.convert_to_f32_slice(dst);
}
