//! What the int8 products of all tiers share: the two kinds of input rows, and the way from the
//! integer sums to the outputs.

use super::simd::{LANES, Simd, padded};
use super::vector_math;
use crate::layout::PackedI8;
use crate::ops::Activate;
use crate::{Activation, Epilogue, RowsI16, RowsU8};

/// Quantised rows in `N` planes of bytes.
pub(crate) trait Planes<const N: usize> {
    fn planes(&self) -> [&[u8]; N];
    fn scale(&self, i: usize) -> f32;
    /// Row `i`'s sums over the planes as one float; `columns` are the sums of the weights.
    fn sum<S: Simd>(&self, s: S, i: usize, sums: [S::I32; N], columns: S::I32) -> S::F32;
}

impl Planes<1> for RowsU8<'_> {
    #[inline(always)]
    fn planes(&self) -> [&[u8]; 1] {
        [self.data]
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

impl Planes<2> for RowsI16<'_> {
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

/// Turns a product's integer sums into its outputs.
#[derive(Clone, Copy)]
pub(crate) struct Outputs<'a> {
    pub(crate) b: PackedI8<'a>,
    pub(crate) epilogue: Epilogue<'a>,
}

impl Outputs<'_> {
    /// Scales, biases, activates and stores rows `i..i + R` of the `P` panels from `channel` on.
    #[inline(always)]
    pub(crate) fn finish<S: Simd, const N: usize, const R: usize, const P: usize>(
        &self,
        s: S,
        a: &impl Planes<N>,
        sums: &[[[S::I32; P]; R]; N],
        i: usize,
        channel: usize,
        out: &mut [f32],
    ) {
        // The most frequent function is computed in registers, others in memory.
        if self.epilogue.act == Activation::GeluCoarse {
            return self.rows::<S, N, R, P, true>(s, a, sums, i, channel, out);
        }
        self.rows::<S, N, R, P, false>(s, a, sums, i, channel, out);
        if self.epilogue.act != Activation::None {
            let n = self.b.n();
            for row in out[i * n..].chunks_exact_mut(n).take(R) {
                let x = &mut row[channel..n.min(channel + P * LANES)];
                s.call(Activate {
                    act: self.epilogue.act,
                    x,
                });
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
            bias[p] = s.load_part(&self.epilogue.bias[left..], 0.0);
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
                    value = vector_math::gelu_coarse(s, value);
                }
                if whole || p + 1 < P {
                    s.store(value, &mut chunks[p]);
                } else {
                    s.store_part(value, tail);
                }
            }
        }
    }
}
