//! What the int8 products of all tiers share: the two kinds of activations, and what happens to
//! the integer sums.

use super::rowwise;
use super::simd::{LANES, Simd, padded};
use crate::layout::PackedI8;
use crate::{Activation, RowQuant};

/// Quantised rows in `N` planes of bytes.
pub(super) trait Planes<const N: usize> {
    fn planes(&self) -> [&[u8]; N];
    fn scale(&self, i: usize) -> f32;
    /// Row `i`'s sums over the planes as one float; `columns` are the weights' own sums.
    fn sum<S: Simd>(&self, s: S, i: usize, sums: [S::I32; N], columns: S::I32) -> S::F32;
}

/// 8 bits and a zero point.
pub(super) struct Eight<'a> {
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
pub(super) struct Sixteen<'a> {
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
pub(super) struct Epilogue<'a> {
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
        let n = self.b.n();
        let right = n.min(channel + P * LANES);
        for p in 0..P {
            let left = channel + p * LANES;
            let columns = s.load_i32(&padded(&self.b.sums()[left..], 0));
            let scales = s.load_part(&self.b.scales()[left..], 0.0);
            let bias = s.load_part(&self.bias[left..], 0.0);
            for r in 0..R {
                let mut planes = [columns; N];
                for (plane, sums) in planes.iter_mut().zip(sums) {
                    *plane = sums[r][p];
                }
                let sum = a.sum(s, i + r, planes, columns);
                let value = sum * (s.splat(a.scale(i + r)) * scales) + bias;
                s.store_part(value, &mut out[(i + r) * n..][left..right]);
            }
        }
        if self.act != Activation::None {
            for r in 0..R {
                rowwise::activate(s, self.act, &mut out[(i + r) * n..][channel..right]);
            }
        }
    }
}
