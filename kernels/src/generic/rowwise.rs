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

/// One lane a row: rows are transposed, then folded as [`Simd::sum`] folds lanes.
macro_rules! fold_rows {
    ($s:expr, $rows:expr, |$a:ident, $b:ident| $f:expr) => {{
        let mut columns = $s.transpose($rows);
        // Not a loop over the halves, which would not be unrolled.
        halve!(columns, 8, |$a, $b| $f);
        halve!(columns, 4, |$a, $b| $f);
        halve!(columns, 2, |$a, $b| $f);
        halve!(columns, 1, |$a, $b| $f);
        columns[0]
    }};
}

/// Adds the lower to the upper columns, so to speak: `$f` of each pair.
macro_rules! halve {
    ($columns:ident, $half:literal, |$a:ident, $b:ident| $f:expr) => {
        for i in 0..$half {
            let ($a, $b) = ($columns[i], $columns[i + $half]);
            $columns[i] = $f;
        }
    };
}

pub(crate) use {fold_rows, halve};

/// Runs `$body` on each 16 values of a row, `$c` counting them, and `$tail` on what is left,
/// filled up with zeros; the values times those of the scale, where there is one.
macro_rules! each_scaled {
    ($s:expr, $row:expr, $scale:expr, |$c:ident, $x:ident| $body:expr, $tail:expr) => {{
        let (chunks, tail) = $row.as_chunks::<LANES>();
        match $scale {
            None => {
                for ($c, chunk) in chunks.iter().enumerate() {
                    let $x = $s.load(chunk);
                    $body;
                }
            }
            Some(scale) => {
                let scales = &scale.as_chunks().0[..chunks.len()];
                for ($c, (chunk, scale)) in chunks.iter().zip(scales).enumerate() {
                    let $x = $s.load(chunk) * $s.load(scale);
                    $body;
                }
            }
        }
        if !tail.is_empty() {
            let mut $x = $s.load_part(tail, 0.0);
            if let Some(scale) = $scale {
                $x = $x * $s.load_part(&scale[chunks.len() * LANES..], 0.0);
            }
            $tail;
        }
    }};
    ($s:expr, $row:expr, $scale:expr, |$x:ident| $body:expr) => {
        each_scaled!($s, $row, $scale, |_c, $x| $body, $body)
    };
}

/// Of up to 16 rows the lowest and the highest value and 0, a row a lane, and whether all values
/// are surely finite. Rows that are not there go from 0 to 1.
#[inline(always)]
fn ranges<S: Simd>(s: S, x: &[f32], scale: Option<&[f32]>, k: usize) -> (S::F32, S::F32, bool) {
    let zero = s.splat(0.0);
    let (mut lows, mut highs) = ([zero; LANES], [s.splat(1.0); LANES]);
    // Finite only if all that it adds up is.
    let mut sum = zero;
    for (row, (low, high)) in x.chunks_exact(k).zip(lows.iter_mut().zip(&mut highs)) {
        let (mut least, mut most) = (zero, zero);
        each_scaled!(s, row, scale, |x| {
            least = s.min(x, least);
            most = s.max(x, most);
            sum = sum + x;
        });
        (*low, *high) = (least, most);
    }
    let lost = sum * zero;
    let low = fold_rows!(s, lows, |a, b| s.min(a, b));
    let high = fold_rows!(s, highs, |a, b| s.max(a, b));
    (low, high, !s.any_nan(lost, lost))
}

/// A lane a row, as an array.
#[inline(always)]
pub(crate) fn lanes<S: Simd>(s: S, x: S::F32) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    s.store(x, &mut lanes);
    lanes
}

#[inline(always)]
pub(crate) fn quantize_u8<S: Simd>(
    s: S,
    x: &[f32],
    scale: Option<&[f32]>,
    m: usize,
    k: usize,
    out: &mut [u8],
    params: &mut [RowQuant],
) {
    if k == 0 {
        return crate::reference::quantize_u8(x, scale, m, k, out, params);
    }
    let blocks = x.chunks(LANES * k).zip(params.chunks_mut(LANES));
    for ((x, params), out) in blocks.zip(out.chunks_mut(LANES * padded_k(k))) {
        let (low, high, finite) = ranges(s, x, scale, k);
        let range = high - low;
        let inverse = s.splat(255.0) / range;
        let zeros = s.round_even((s.splat(0.0) - low) * inverse);
        let steps = lanes(s, range / s.splat(255.0));
        let inverses = lanes(s, inverse);
        // Rows of zeros, and ones with values that are not finite, are rare.
        if !finite || !inverses.iter().all(|x| *x > 0.0 && *x < f32::INFINITY) {
            crate::reference::quantize_u8(x, scale, params.len(), k, out, params);
            continue;
        }
        let mut zero_points = [0; LANES];
        s.store_i32(zeros, &mut zero_points);
        let rows = x.chunks_exact(k).zip(out.chunks_exact_mut(padded_k(k)));
        for (r, ((row, bytes), params)) in rows.zip(params).enumerate() {
            (params.scale, params.zero) = (steps[r], zero_points[r]);
            let (zero, inverse) = (s.splat_i32(zero_points[r]), s.splat(inverses[r]));
            let (bytes, padding) = bytes.split_at_mut(k);
            // Most often there is none, and a call is dear where rows are short.
            if !padding.is_empty() {
                padding.fill(0);
            }
            let (blocks, bytes) = bytes.as_chunks_mut();
            let (chunks, rest) = row.as_chunks();
            for (b, (block, chunks)) in blocks.iter_mut().zip(chunks).enumerate() {
                let x = scaled(s, chunks, scale.map(|scale| &scale.as_chunks().0[b]));
                // A loop: `map`'s closure would not be inlined in a build with many codegen units.
                let mut integers = [zero; 4];
                for (q, x) in integers.iter_mut().zip(x) {
                    *q = s.round_even(x * inverse) + zero;
                }
                *block = s.to_bytes_of_four(integers);
            }
            let scale = scale.map(|scale| &scale[k - rest.len()..]);
            let (bytes, tail) = bytes.as_chunks_mut();
            each_scaled!(
                s,
                rest,
                scale,
                |c, x| bytes[c] = s.to_bytes(s.round_even(x * inverse) + zero),
                store_bytes(s.to_bytes(s.round_even(x * inverse) + zero), tail)
            );
        }
    }
}

/// 64 values, times those of the scale, where there is one.
#[inline(always)]
fn scaled<S: Simd>(s: S, x: &[f32; 64], scale: Option<&[f32; 64]>) -> [S::F32; 4] {
    let mut out = [s.splat(0.0); 4];
    for (x, chunk) in out.iter_mut().zip(x.as_chunks().0) {
        *x = s.load(chunk);
    }
    if let Some(scale) = scale {
        for (x, chunk) in out.iter_mut().zip(scale.as_chunks().0) {
            *x = *x * s.load(chunk);
        }
    }
    out
}

#[inline(always)]
pub(crate) fn quantize_i16<S: Simd>(
    s: S,
    x: &[f32],
    scale: Option<&[f32]>,
    m: usize,
    k: usize,
    hi: &mut [u8],
    lo: &mut [u8],
    scales: &mut [f32],
) {
    if k == 0 {
        return crate::reference::quantize_i16(x, scale, m, k, hi, lo, scales);
    }
    let stride = padded_k(k);
    let blocks = x.chunks(LANES * k).zip(scales.chunks_mut(LANES));
    let planes = hi
        .chunks_mut(LANES * stride)
        .zip(lo.chunks_mut(LANES * stride));
    for ((x, scales), (hi, lo)) in blocks.zip(planes) {
        let (low, high, finite) = ranges(s, x, scale, k);
        let largest = s.max(s.splat(0.0) - low, high);
        let steps = lanes(s, largest / s.splat(32767.0));
        let inverses = lanes(s, s.splat(32767.0) / largest);
        if !finite || !inverses.iter().all(|x| *x > 0.0 && *x < f32::INFINITY) {
            crate::reference::quantize_i16(x, scale, scales.len(), k, hi, lo, scales);
            continue;
        }
        let planes = hi.chunks_exact_mut(stride).zip(lo.chunks_exact_mut(stride));
        for (r, (row, (hi, lo))) in x.chunks_exact(k).zip(planes).enumerate() {
            scales[r] = steps[r];
            let (middle, inverse) = (s.splat_i32(32768), s.splat(inverses[r]));
            if k < stride {
                hi[k..].fill(128);
                lo[k..].fill(0);
            }
            let ((hi, hi_tail), (lo, lo_tail)) = (hi[..k].as_chunks_mut(), lo[..k].as_chunks_mut());
            let (hi, lo) = (&mut hi[..k / LANES], &mut lo[..k / LANES]);
            each_scaled!(
                s,
                row,
                scale,
                |c, x| {
                    let q = s.round_even(x * inverse) + middle;
                    (hi[c], lo[c]) = (s.second_bytes(q), s.low_bytes(q));
                },
                {
                    let q = s.round_even(x * inverse) + middle;
                    store_bytes(s.second_bytes(q), hi_tail);
                    store_bytes(s.low_bytes(q), lo_tail);
                }
            );
        }
    }
}

/// Stores as many of the bytes as `out` takes, fewer than 16.
#[inline(always)]
fn store_bytes(bytes: [u8; LANES], out: &mut [u8]) {
    out.copy_from_slice(&bytes[..out.len()]);
}

/// Sums of up to 16 rows as one float a lane.
macro_rules! row_sums {
    ($s:expr, $x:expr, $n:expr, |$r:ident, $value:ident| $f:expr) => {{
        let mut sums = [$s.splat(0.0); LANES];
        for ($r, (row, sums)) in $x.chunks_exact($n).zip(&mut sums).enumerate() {
            let (chunks, tail) = row.as_chunks::<LANES>();
            // In a register, not in the array.
            let mut sum = $s.splat(0.0);
            for chunk in chunks {
                let $value = $s.load(chunk);
                sum = sum + $f;
            }
            if !tail.is_empty() {
                let $value = $s.load_part(tail, 0.0);
                // Masked after `f`, which need not be 0 at 0.
                let values = lanes($s, $f);
                sum = sum + $s.load(&padded(&values[..tail.len()], 0.0));
            }
            *sums = sum;
        }
        fold_rows!($s, sums, |a, b| a + b)
    }};
}

/// Up to 16 rows of `n`.
#[inline(always)]
fn layer_norm_rows<S: Simd>(s: S, x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32, n: usize) {
    let count = s.splat(n as f32);
    let means = lanes(s, row_sums!(s, x, n, |_r, x| x) / count);
    let variance = row_sums!(s, x, n, |r, x| {
        let difference = x - s.splat(means[r]);
        difference * difference
    }) / count;
    let inverses = lanes(s, s.splat(1.0) / s.sqrt(variance + s.splat(eps)));
    for (r, row) in x.chunks_exact_mut(n).enumerate() {
        let (mean, inverse) = (s.splat(means[r]), s.splat(inverses[r]));
        let (chunks, tail) = row.as_chunks_mut::<LANES>();
        let ((weights, weight), (biases, bias)) = (weight.as_chunks(), bias.as_chunks());
        for (x, (weight, bias)) in chunks.iter_mut().zip(weights.iter().zip(biases)) {
            let normal = (s.load(x) - mean) * inverse;
            s.store(normal * s.load(weight) + s.load(bias), x);
        }
        if !tail.is_empty() {
            let normal = (s.load_part(tail, 0.0) - mean) * inverse;
            let value = normal * s.load_part(weight, 0.0) + s.load_part(bias, 0.0);
            s.store_part(value, tail);
        }
    }
}

#[inline(always)]
pub(crate) fn layer_norm<S: Simd>(
    s: S,
    x: &mut [f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    _: usize,
    n: usize,
) {
    for x in x.chunks_mut((LANES * n).max(1)) {
        layer_norm_rows(s, x, weight, bias, eps, n);
    }
}

#[inline(always)]
pub(crate) fn add_layer_norm<S: Simd>(
    s: S,
    x: &mut [f32],
    delta: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    _: usize,
    n: usize,
) {
    let rows = (LANES * n).max(1);
    for (x, delta) in x.chunks_mut(rows).zip(delta.chunks(rows)) {
        let ((chunks, tail), (deltas, delta)) = (x.as_chunks_mut(), delta.as_chunks());
        for (x, delta) in chunks.iter_mut().zip(deltas) {
            s.store(s.load(x) + s.load(delta), x);
        }
        if !tail.is_empty() {
            s.store_part(s.load_part(tail, 0.0) + s.load_part(delta, 0.0), tail);
        }
        layer_norm_rows(s, x, weight, bias, eps, n);
    }
}

/// Replaces scores by `e^(score - max)`; returns 1 / their sum.
#[inline(always)]
pub(crate) fn exponentials<S: Simd>(s: S, x: &mut [f32]) -> f32 {
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
pub(crate) fn softmax<S: Simd>(s: S, x: &mut [f32]) {
    let inverse = s.splat(exponentials(s, x));
    map!(s, x, |x| x * inverse);
}

#[inline(always)]
pub(crate) fn activate<S: Simd>(s: S, act: Activation, x: &mut [f32]) {
    map!(s, x, |x| math::apply(s, act, x));
}

#[inline(always)]
pub(crate) fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks(), b.as_chunks());
    let mut sums = s.splat(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = sums + s.load(a) * s.load(b);
    }
    s.sum(sums + s.load_part(a_tail, 0.0) * s.load_part(b_tail, 0.0))
}

#[inline(always)]
pub(crate) fn add_scaled_i8<S: Simd>(s: S, row: &[i8], scale: f32, out: &mut [f32]) {
    let scale = s.splat(scale);
    let ((chunks, tail), (outs, out)) = (row.as_chunks(), out.as_chunks_mut());
    for (chunk, out) in chunks.iter().zip(outs) {
        s.store(s.load(out) + scale * s.widen_i8(chunk), out);
    }
    if !tail.is_empty() {
        let row = s.widen_i8(&padded(tail, 0));
        s.store_part(s.load_part(out, 0.0) + scale * row, out);
    }
}

#[inline(always)]
pub(crate) fn widen_f16<S: Simd>(s: S, src: &[f16], dst: &mut [f32]) {
    for (src, dst) in src.chunks(LANES).zip(dst.chunks_mut(LANES)) {
        s.store_part(s.widen_f16(&padded(src, f16::ZERO)), dst);
    }
}
