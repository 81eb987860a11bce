//! Quantisation, layer norm, softmax and the other operations that walk along rows.
//!
//! The loops are macros rather than functions of closures, because closures are not always inlined
//! in builds with many codegen units; their vectors would then pass through memory.

use half::f16;

use super::simd::{LANES, Simd, padded};
use super::vector_math;
use crate::layout::padded_k;
use crate::ops::{
    Activate, AddScaledI8, Dot, LayerNorm, Operation, QuantizeI16, QuantizeU8, Softmax, WidenF16,
};
use crate::{Activation, RowQuant, Rows, RowsI16Mut, RowsU8Mut, reference};

/// The sum of `$f` of the values by 16 lanes, in order.
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
            // Masked after `$f`, which need not be 0 at 0.
            let values = lanes($s, $f);
            sums = sums + $s.load(&padded(&values[..tail.len()], 0.0));
        }
        $s.sum(sums)
    }};
}

/// Replaces each value by `$f` of it.
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

/// Folds 16 rows of lanes to one value each, a row per lane of the result: transposes them, then
/// folds as [`Simd::sum`] folds lanes.
macro_rules! fold_rows {
    ($s:expr, $rows:expr, |$a:ident, $b:ident| $f:expr) => {
        $crate::generic::rowwise::fold_rows!(@[8, 4, 2, 1] $s, $rows, |$a, $b| $f)
    };
    // Repeated by the macro: a loop over the halves would not be unrolled.
    (@[$($half:literal),*] $s:expr, $rows:expr, |$a:ident, $b:ident| $f:expr) => {{
        let mut columns = $s.transpose($rows);
        // Folds the upper half of the columns into the lower half.
        $(for i in 0..$half {
            let ($a, $b) = (columns[i], columns[i + $half]);
            columns[i] = $f;
        })*
        columns[0]
    }};
}
pub(super) use fold_rows;

/// Runs `$body` on each 16 values of a row, `$c` counting them, and `$tail` on the rest, filled up
/// with zeros. The values are multiplied by those of the scale, if there is one.
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
}

/// The smallest value (0 at most) and the largest (0 at least) of up to 16 rows, a row per lane,
/// and whether all values are surely finite. Missing rows range from 0 to 1.
#[inline(always)]
fn ranges<S: Simd>(s: S, x: &[f32], scale: Option<&[f32]>, k: usize) -> (S::F32, S::F32, bool) {
    let zero = s.splat(0.0);
    let (mut lows, mut highs) = ([zero; LANES], [s.splat(1.0); LANES]);
    // Finite only if every value is.
    let mut sum = zero;
    for (row, (low, high)) in x.chunks_exact(k).zip(lows.iter_mut().zip(&mut highs)) {
        let (mut least, mut most) = (zero, zero);
        each_scaled!(
            s,
            row,
            scale,
            |_c, x| {
                least = s.min(x, least);
                most = s.max(x, most);
                sum = sum + x;
            },
            {
                least = s.min(x, least);
                most = s.max(x, most);
                sum = sum + x;
            }
        );
        (*low, *high) = (least, most);
    }
    let lost = sum * zero;
    let low = fold_rows!(s, lows, |a, b| s.min(a, b));
    let high = fold_rows!(s, highs, |a, b| s.max(a, b));
    (low, high, !s.any_nan(lost, lost))
}

/// The lanes as an array.
#[inline(always)]
pub(super) fn lanes<S: Simd>(s: S, x: S::F32) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    s.store(x, &mut lanes);
    lanes
}

/// Rounds up to 16 rows.
#[inline(always)]
fn quantize_block_u8<S: Simd>(
    s: S,
    x: &[f32],
    scale: Option<&[f32]>,
    k: usize,
    out: &mut [u8],
    params: &mut [RowQuant],
) {
    let (low, high, finite) = ranges(s, x, scale, k);
    let range = high - low;
    let inverse = s.splat(255.0) / range;
    let zeros = s.round_even((s.splat(0.0) - low) * inverse);
    let steps = lanes(s, range / s.splat(255.0));
    let inverses = lanes(s, inverse);
    // Rows of zeros, and rows with values that are not finite, are rare.
    if !finite || !inverses.iter().all(|x| *x > 0.0 && *x < f32::INFINITY) {
        let (data, m) = (x, params.len());
        let x = Rows { data, m, k };
        let out = RowsU8Mut { data: out, params };
        return reference::quantize_u8(QuantizeU8 { x, scale, out });
    }
    let mut zero_points = [0; LANES];
    s.store_i32(zeros, &mut zero_points);
    let rows = x.chunks_exact(k).zip(out.chunks_exact_mut(padded_k(k)));
    for (r, ((row, bytes), params)) in rows.zip(params).enumerate() {
        (params.scale, params.zero) = (steps[r], zero_points[r]);
        let (zero, inverse) = (s.splat_i32(zero_points[r]), s.splat(inverses[r]));
        let (bytes, padding) = bytes.split_at_mut(k);
        // Most often there is none, and a call is expensive for short rows.
        if !padding.is_empty() {
            padding.fill(0);
        }
        let (blocks, bytes) = bytes.as_chunks_mut();
        let (chunks, rest) = row.as_chunks();
        for (b, (block, chunks)) in blocks.iter_mut().zip(chunks).enumerate() {
            let x = scaled(s, chunks, scale.map(|scale| &scale.as_chunks().0[b]));
            // A loop: `map`'s closure might not be inlined.
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

impl Operation for QuantizeU8<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        if self.x.k == 0 {
            return reference::quantize_u8(self);
        }
        let (Rows { data: x, k, .. }, scale) = (self.x, self.scale);
        let RowsU8Mut { data: out, params } = self.out;
        let blocks = x.chunks(LANES * k).zip(params.chunks_mut(LANES));
        for ((x, params), out) in blocks.zip(out.chunks_mut(LANES * padded_k(k))) {
            quantize_block_u8(s, x, scale, k, out, params);
        }
    }
}

/// 64 values, multiplied by those of the scale, if there is one.
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

/// Rounds up to 16 rows.
#[inline(always)]
fn quantize_block_i16<S: Simd>(
    s: S,
    x: &[f32],
    scale: Option<&[f32]>,
    k: usize,
    (high, low): (&mut [u8], &mut [u8]),
    scales: &mut [f32],
) {
    let stride = padded_k(k);
    let (least, most, finite) = ranges(s, x, scale, k);
    let largest = s.max(s.splat(0.0) - least, most);
    let steps = lanes(s, largest / s.splat(32767.0));
    let inverses = lanes(s, s.splat(32767.0) / largest);
    if !finite || !inverses.iter().all(|x| *x > 0.0 && *x < f32::INFINITY) {
        let (data, m) = (x, scales.len());
        let x = Rows { data, m, k };
        let out = RowsI16Mut { high, low, scales };
        return reference::quantize_i16(QuantizeI16 { x, scale, out });
    }
    let planes = high
        .chunks_exact_mut(stride)
        .zip(low.chunks_exact_mut(stride));
    for (r, (row, (high, low))) in x.chunks_exact(k).zip(planes).enumerate() {
        scales[r] = steps[r];
        let (middle, inverse) = (s.splat_i32(32768), s.splat(inverses[r]));
        if k < stride {
            high[k..].fill(128);
            low[k..].fill(0);
        }
        let ((high, high_tail), (low, low_tail)) =
            (high[..k].as_chunks_mut(), low[..k].as_chunks_mut());
        let (high, low) = (&mut high[..k / LANES], &mut low[..k / LANES]);
        each_scaled!(
            s,
            row,
            scale,
            |c, x| {
                let q = s.round_even(x * inverse) + middle;
                (high[c], low[c]) = (s.second_bytes(q), s.low_bytes(q));
            },
            {
                let q = s.round_even(x * inverse) + middle;
                store_bytes(s.second_bytes(q), high_tail);
                store_bytes(s.low_bytes(q), low_tail);
            }
        );
    }
}

impl Operation for QuantizeI16<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        if self.x.k == 0 {
            return reference::quantize_i16(self);
        }
        let (Rows { data: x, k, .. }, scale) = (self.x, self.scale);
        let RowsI16Mut { high, low, scales } = self.out;
        let block = LANES * padded_k(k);
        let blocks = x.chunks(LANES * k).zip(scales.chunks_mut(LANES));
        let planes = high.chunks_mut(block).zip(low.chunks_mut(block));
        for ((x, scales), planes) in blocks.zip(planes) {
            quantize_block_i16(s, x, scale, k, planes, scales);
        }
    }
}

/// Stores the first bytes, as many of the 16 as `out` has room for.
#[inline(always)]
fn store_bytes(bytes: [u8; LANES], out: &mut [u8]) {
    out.copy_from_slice(&bytes[..out.len()]);
}

/// The sums of `$f` of the values of up to 16 rows, a row per lane.
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
                // Masked after `$f`, which need not be 0 at 0.
                let values = lanes($s, $f);
                sum = sum + $s.load(&padded(&values[..tail.len()], 0.0));
            }
            *sums = sum;
        }
        fold_rows!($s, sums, |a, b| a + b)
    }};
}

/// Normalises up to 16 rows of `n`.
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

/// `x = x + delta`, for whole rows.
#[inline(always)]
fn add<S: Simd>(s: S, x: &mut [f32], delta: &[f32]) {
    let ((chunks, tail), (deltas, delta)) = (x.as_chunks_mut(), delta.as_chunks());
    for (x, delta) in chunks.iter_mut().zip(deltas) {
        s.store(s.load(x) + s.load(delta), x);
    }
    if !tail.is_empty() {
        s.store_part(s.load_part(tail, 0.0) + s.load_part(delta, 0.0), tail);
    }
}

impl Operation for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let Self {
            weight, bias, eps, ..
        } = self;
        let n = weight.len();
        let rows = (LANES * n).max(1);
        let Some(delta) = self.delta else {
            for x in self.x.chunks_mut(rows) {
                layer_norm_rows(s, x, weight, bias, eps, n);
            }
            return;
        };
        for (x, delta) in self.x.chunks_mut(rows).zip(delta.chunks(rows)) {
            add(s, x, delta);
            layer_norm_rows(s, x, weight, bias, eps, n);
        }
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
    map!(s, x, |x| vector_math::exp(s, x - largest));
    1.0 / sum!(s, x, |x| x)
}

/// Applies a function to each value.
#[inline(always)]
pub(super) fn activate<S: Simd>(s: S, act: Activation, x: &mut [f32]) {
    map!(s, x, |x| vector_math::apply(s, act, x));
}

/// `sum_i a[i] * b[i]` by 16 lanes.
#[inline(always)]
pub(super) fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks(), b.as_chunks());
    let mut sums = s.splat(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = sums + s.load(a) * s.load(b);
    }
    s.sum(sums + s.load_part(a_tail, 0.0) * s.load_part(b_tail, 0.0))
}

impl Operation for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let x = self.0;
        let inverse = s.splat(exponentials(s, x));
        map!(s, x, |x| x * inverse);
    }
}

impl Operation for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        activate(s, self.act, self.x);
    }
}

impl Operation for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) -> f32 {
        dot(s, self.a, self.b)
    }
}

impl Operation for AddScaledI8<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        let scale = s.splat(self.scale);
        let ((chunks, tail), (outs, out)) = (self.row.as_chunks(), self.out.as_chunks_mut());
        for (chunk, out) in chunks.iter().zip(outs) {
            s.store(s.load(out) + scale * s.widen_i8(chunk), out);
        }
        if !tail.is_empty() {
            let row = s.widen_i8(&padded(tail, 0));
            s.store_part(s.load_part(out, 0.0) + scale * row, out);
        }
    }
}

impl Operation for WidenF16<'_> {
    type Output = ();

    #[inline(always)]
    fn compute<S: Simd>(self, s: S) {
        for (src, dst) in self.src.chunks(LANES).zip(self.dst.chunks_mut(LANES)) {
            s.store_part(s.widen_f16(&padded(src, f16::ZERO)), dst);
        }
    }
}
