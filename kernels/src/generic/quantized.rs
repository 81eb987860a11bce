//! What the int8 products of all tiers share: the two kinds of activations, and what happens to
//! the integer sums.

use super::simd::{LANES, Simd, padded};
use super::{math, rowwise};
use crate::layout::PackedI8;
use crate::{Activation, RowQuant};

/// Quantised rows in `N` planes of bytes.
pub(crate) trait Planes<const N: usize> {
    fn planes(&self) -> [&[u8]; N];
    fn scale(&self, i: usize) -> f32;
    /// Row `i`'s sums over the planes as one float; `columns` are the weights' own sums.
    fn sum<S: Simd>(&self, s: S, i: usize, sums: [S::I32; N], columns: S::I32) -> S::F32;
}

/// 8 bits and a zero point.
pub(crate) struct Eight<'a> {
    pub a: &'a [u8],
    pub params: &'a [RowQuant],
}

impl Planes<1> for Eight<'_> {
    #[inline(always)]
    fn planes(&self) -> [&[u8]; 1] {
        [self.a]
    }

    #[inline(always)]
    fn scale(&self, i: usize) -> f32 {
        self.params[i].scale
    }

    #[inline(always)]
    fn sum<S: Simd>(&self, s: S, i: usize, [sum]: [S::I32; 1], columns: S::I32) -> S::F32 {
        s.to_f32(sum - s.splat_i32(self.params[i].zero) * columns)
    }
}

/// 16 bits, symmetric, in two planes.
pub(crate) struct Sixteen<'a> {
    pub high: &'a [u8],
    pub low: &'a [u8],
    pub scales: &'a [f32],
}

impl Planes<2> for Sixteen<'_> {
    #[inline(always)]
    fn planes(&self) -> [&[u8]; 2] {
        [self.high, self.low]
    }

    #[inline(always)]
    fn scale(&self, i: usize) -> f32 {
        self.scales[i]
    }

    #[inline(always)]
    fn sum<S: Simd>(&self, s: S, _: usize, [high, low]: [S::I32; 2], columns: S::I32) -> S::F32 {
        let high = high - columns * s.splat_i32(128);
        s.to_f32(high) * s.splat(256.0) + s.to_f32(low)
    }
}

/// The rest of a product once its integer sums are known.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    pub b: &'a PackedI8<'a>,
    pub bias: &'a [f32],
    pub act: Activation,
}

impl Epilogue<'_> {
    /// Scales, biases, activates and stores rows `i..i + R` of the `P` panels from `channel` on.
    #[inline(always)]
    pub fn finish<S: Simd, const N: usize, const R: usize, const P: usize>(
        &self,
        s: S,
        a: &impl Planes<N>,
        sums: &[[[S::I32; P]; R]; N],
        i: usize,
        channel: usize,
        out: &mut [f32],
    ) {
        // The activation that is often wanted is computed in registers, others where values lie.
        if self.act == Activation::GeluCoarse {
            return self.rows::<S, N, R, P, true>(s, a, sums, i, channel, out);
        }
        self.rows::<S, N, R, P, false>(s, a, sums, i, channel, out);
        if self.act != Activation::None {
            let n = self.b.n();
            for row in out[i * n..].chunks_exact_mut(n).take(R) {
                let row = &mut row[channel..n.min(channel + P * LANES)];
                rowwise::activate(s, self.act, row);
            }
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const N: usize, const R: usize, const P: usize, const GELU: bool>(
        &self,
        s: S,
        a: &impl Planes<N>,
        sums: &[[[S::I32; P]; R]; N],
        i: usize,
        channel: usize,
        out: &mut [f32],
    ) {
        let n = self.b.n();
        let zero = s.splat(0.0);
        let (mut columns, mut scales, mut bias) = ([s.splat_i32(0); P], [zero; P], [zero; P]);
        for p in 0..P {
            let left = channel + p * LANES;
            columns[p] = s.load_i32(&padded(&self.b.sums()[left..], 0));
            scales[p] = s.load_part(&self.b.scales()[left..], 0.0);
            bias[p] = s.load_part(&self.bias[left..], 0.0);
        }
        let whole = channel + P * LANES <= n;
        for r in 0..R {
            let scale = s.splat(a.scale(i + r));
            let row = &mut out[(i + r) * n..(i + r + 1) * n][channel..];
            let (chunks, tail) = row.as_chunks_mut();
            for p in 0..P {
                let mut planes = [columns[p]; N];
                for (plane, sums) in planes.iter_mut().zip(sums) {
                    *plane = sums[r][p];
                }
                let sum = a.sum(s, i + r, planes, columns[p]);
                let mut value = sum * (scale * scales[p]) + bias[p];
                if GELU {
                    value = math::gelu_coarse(s, value);
                }
                match whole || p + 1 < P {
                    true => s.store(value, &mut chunks[p]),
                    false => s.store_part(value, tail),
                }
            }
        }
    }
}
