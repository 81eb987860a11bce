//! Quantisation, normalisation, softmax and the other operations that walk along rows, for all
//! tiers of this target.

use half::f16;

use super::math;
use super::simd::{LANES, Simd, padded};
use crate::{Activation, RowQuant, padded_k};

/// Adds to 16 lanes `f` of the values, in order; what is not there adds nothing.
macro_rules! sum {
    ($s:expr, $x:expr, |$value:ident| $f:expr) => {{
        let (chunks, tail) = $x.as_chunks::<LANES>();
        let mut sums = $s.splat(0.0);
        for chunk in chunks {
            let $value = $s.load(chunk);
            sums = sums + $f;
        }
        if !tail.is_empty() {
            let $value = $s.load_part(tail, 0.0);
            // Masked after `f`, which need not be 0 at 0.
            let mut values = [0.0; LANES];
            $s.store($f, &mut values);
            sums = sums + $s.load(&padded(&values[..tail.len()], 0.0));
        }
        $s.sum(sums)
    }};
}

/// Replaces each value by `f` of it.
macro_rules! map {
    ($s:expr, $x:expr, |$value:ident| $f:expr) => {{
        let (chunks, tail) = $x.as_chunks_mut::<LANES>();
        for chunk in chunks {
            let $value = $s.load(chunk);
            $s.store($f, chunk);
        }
        if !tail.is_empty() {
            let $value = $s.load_part(tail, 0.0);
            $s.store_part($f, tail);
        }
    }};
}

/// Lowest and highest value of a row and 0, and whether all are finite.
#[inline(always)]
fn range<S: Simd>(s: S, row: &[f32]) -> (f32, f32, bool) {
    let zero = s.splat(0.0);
    let (mut low, mut high, mut nan) = (zero, zero, zero);
    let (chunks, tail) = row.as_chunks();
    let tail = padded(tail, 0.0);
    for chunk in chunks.iter().chain([&tail]) {
        let x = s.load(chunk);
        low = s.min(x, low);
        high = s.max(x, high);
        // 0 for every finite `x`, else NaN, which stays.
        nan = nan + x * zero;
    }
    // 0 - x rather than -x: a lowest of -0 is not possible, so both are the same.
    (
        -s.largest(zero - low),
        s.largest(high),
        !s.any_nan(nan, nan),
    )
}

#[inline(always)]
pub(super) fn quantize_u8<S: Simd>(
    s: S,
    x: &[f32],
    m: usize,
    k: usize,
    out: &mut [u8],
    params: &mut [RowQuant],
) {
    let stride = padded_k(k);
    for i in 0..m {
        let row = &x[i * k..(i + 1) * k];
        let bytes = &mut out[i * stride..(i + 1) * stride];
        let (low, high, finite) = range(s, row);
        let range = high - low;
        let inverse = 255.0 / range;
        if !finite || !range.is_finite() || !inverse.is_finite() {
            bytes.fill(0);
            let lost = !finite || !range.is_finite();
            let scale = if lost { f32::NAN } else { 1.0 };
            params[i] = RowQuant { scale, zero: 0 };
            continue;
        }
        let zero = crate::math::round_even(-low * inverse);
        params[i] = RowQuant {
            scale: range / 255.0,
            zero,
        };
        let (zeros, inverse) = (s.splat_i32(zero), s.splat(inverse));
        let (bytes, padding) = bytes.split_at_mut(k);
        padding.fill(0);
        for (x, bytes) in row.chunks(LANES).zip(bytes.chunks_mut(LANES)) {
            let q = s.round_even(s.load_part(x, 0.0) * inverse) + zeros;
            store_bytes(s.to_bytes(q), bytes);
        }
    }
}

#[inline(always)]
pub(super) fn quantize_i16<S: Simd>(
    s: S,
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
    let middle = s.splat_i32(32768);
    for i in 0..m {
        let row = &x[i * k..(i + 1) * k];
        let (low, high, finite) = range(s, row);
        let largest = if -low > high { -low } else { high };
        let inverse = 32767.0 / largest;
        if !finite || !inverse.is_finite() {
            scales[i] = if finite { 1.0 } else { f32::NAN };
            continue;
        }
        scales[i] = largest / 32767.0;
        let inverse = s.splat(inverse);
        let hi = hi[i * stride..][..k].chunks_mut(LANES);
        let lo = lo[i * stride..][..k].chunks_mut(LANES);
        for (x, (hi, lo)) in row.chunks(LANES).zip(hi.zip(lo)) {
            let q = s.round_even(s.load_part(x, 0.0) * inverse) + middle;
            store_bytes(s.second_bytes(q), hi);
            store_bytes(s.low_bytes(q), lo);
        }
    }
}

/// Stores as many of the bytes as `out` takes.
#[inline(always)]
fn store_bytes(bytes: [u8; LANES], out: &mut [u8]) {
    match out.first_chunk_mut() {
        Some(chunk) => *chunk = bytes,
        None => out.copy_from_slice(&bytes[..out.len()]),
    }
}

#[inline(always)]
fn layer_norm_row<S: Simd>(s: S, row: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let n = row.len() as f32;
    let mean = s.splat(sum!(s, row, |x| x) / n);
    let variance = sum!(s, row, |x| (x - mean) * (x - mean)) / n;
    let inverse = s.splat(1.0 / (variance + eps).sqrt());
    let factors = weight.chunks(LANES).zip(bias.chunks(LANES));
    for (x, (weight, bias)) in row.chunks_mut(LANES).zip(factors) {
        let normal = (s.load_part(x, 0.0) - mean) * inverse;
        let value = normal * s.load_part(weight, 0.0) + s.load_part(bias, 0.0);
        s.store_part(value, x);
    }
}

#[inline(always)]
pub(super) fn layer_norm<S: Simd>(
    s: S,
    x: &mut [f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    m: usize,
    n: usize,
) {
    for i in 0..m {
        layer_norm_row(s, &mut x[i * n..(i + 1) * n], weight, bias, eps);
    }
}

#[inline(always)]
pub(super) fn add_layer_norm<S: Simd>(
    s: S,
    x: &mut [f32],
    delta: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    m: usize,
    n: usize,
) {
    for i in 0..m {
        let (row, delta) = (&mut x[i * n..(i + 1) * n], &delta[i * n..(i + 1) * n]);
        for (x, delta) in row.chunks_mut(LANES).zip(delta.chunks(LANES)) {
            s.store_part(s.load_part(x, 0.0) + s.load_part(delta, 0.0), x);
        }
        layer_norm_row(s, row, weight, bias, eps);
    }
}

/// Replaces scores by `e^(score - max)`; returns 1 / their sum.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(s: S, x: &mut [f32]) -> f32 {
    let (chunks, tail) = x.as_chunks();
    let tail = padded(tail, f32::NEG_INFINITY);
    let mut largest = s.splat(f32::NEG_INFINITY);
    for chunk in chunks.iter().chain([&tail]) {
        largest = s.max(s.load(chunk), largest);
    }
    let largest = s.splat(s.largest(largest));
    map!(s, x, |x| math::exp(s, x - largest));
    1.0 / sum!(s, x, |x| x)
}

#[inline(always)]
pub(super) fn softmax<S: Simd>(s: S, x: &mut [f32]) {
    let inverse = s.splat(exponentials(s, x));
    map!(s, x, |x| x * inverse);
}

#[inline(always)]
pub(super) fn activate<S: Simd>(s: S, act: Activation, x: &mut [f32]) {
    map!(s, x, |x| math::apply(s, act, x));
}

#[inline(always)]
pub(super) fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks(), b.as_chunks());
    let mut sums = s.splat(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = sums + s.load(a) * s.load(b);
    }
    s.sum(sums + s.load_part(a_tail, 0.0) * s.load_part(b_tail, 0.0))
}

#[inline(always)]
pub(super) fn add_scaled_i8<S: Simd>(s: S, row: &[i8], scale: f32, out: &mut [f32]) {
    let scale = s.splat(scale);
    for (row, out) in row.chunks(LANES).zip(out.chunks_mut(LANES)) {
        let row = s.widen_i8(&padded(row, 0));
        s.store_part(s.load_part(out, 0.0) + scale * row, out);
    }
}

#[inline(always)]
pub(super) fn widen_f16<S: Simd>(s: S, src: &[f16], dst: &mut [f32]) {
    for (src, dst) in src.chunks(LANES).zip(dst.chunks_mut(LANES)) {
        s.store_part(s.widen_f16(&padded(src, f16::ZERO)), dst);
    }
}
