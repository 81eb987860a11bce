//! Products with f32 and f16 weights: blocks of rows by panels of 16 channels, in registers.

use half::f16;

use super::rowwise;
use super::simd::{LANES, Simd};
use super::{cut, row_blocks, row_tiles, strips};
use crate::Activation;
use crate::layout::{PackedF16, PackedF32};

/// One input's weights for the 16 channels of a panel, in the dtype of the file.
pub(crate) trait Line {
    fn load<S: Simd>(&self, s: S) -> S::F32;
}

impl Line for [f32; LANES] {
    #[inline(always)]
    fn load<S: Simd>(&self, s: S) -> S::F32 {
        s.load(self)
    }
}

impl Line for [f16; LANES] {
    #[inline(always)]
    fn load<S: Simd>(&self, s: S) -> S::F32 {
        s.widen_f16(self)
    }
}

/// `sum_d rows[r][d] * panels[p][d][c]`: one accumulator per output, `d` ascending,
/// each step fused where the tier fuses.
#[inline(always)]
pub(crate) fn tile<S: Simd, const R: usize, const P: usize>(
    s: S,
    rows: [&[f32]; R],
    panels: [&[impl Line]; P],
) -> [[S::F32; P]; R] {
    // Of one length, so that the loop needs no bounds checks.
    let len = panels[0].len();
    let (rows, panels) = (cut(rows, len), cut(panels, len));
    let zero = s.splat(0.0);
    let mut sums = [[zero; P]; R];
    for d in 0..len {
        let mut weights = [zero; P];
        for (weights, panel) in weights.iter_mut().zip(panels) {
            *weights = panel[d].load(s);
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            let x = s.splat(row[d]);
            for (sum, &weights) in sums.iter_mut().zip(&weights) {
                *sum = s.fma(x, weights, *sum);
            }
        }
    }
    sums
}

/// A product's operands.
struct Product<'a, L> {
    a: &'a [f32],
    k: usize,
    n: usize,
    /// Panels of `k` lines.
    lines: &'a [L],
    bias: &'a [f32],
    act: Activation,
}

impl<L: Line> Product<'_, L> {
    /// Rows `i..i + R` of the P panels from `channel` on.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const P: usize>(
        &self,
        s: S,
        i: usize,
        channel: usize,
        out: &mut [f32],
    ) {
        let &Self { a, k, n, lines, .. } = self;
        let rows = strips(a, i * k, k, k);
        let panels = strips(lines, channel / LANES * k, k, k);
        let sums: [[S::F32; P]; R] = tile::<S, R, P>(s, rows, panels);
        let right = n.min(channel + P * LANES);
        for (r, sums) in sums.iter().enumerate() {
            let row = &mut out[(i + r) * n..][..right];
            for (p, &sum) in sums.iter().enumerate() {
                let left = channel + p * LANES;
                let bias = s.load_part(&self.bias[left..], 0.0);
                s.store_part(sum + bias, &mut row[left..]);
            }
            if self.act != Activation::None {
                rowwise::activate(s, self.act, &mut row[channel..]);
            }
        }
    }

    /// Rows `i..i + R` of P panels, or of the last one.
    #[inline(always)]
    fn blocks<S: Simd, const R: usize, const P: usize>(
        &self,
        s: S,
        i: usize,
        channel: usize,
        out: &mut [f32],
    ) {
        if channel + (P - 1) * LANES < self.n {
            self.block::<S, R, P>(s, i, channel, out);
        } else {
            self.block::<S, R, 1>(s, i, channel, out);
        }
    }

    /// All outputs.
    #[inline(always)]
    fn run<S: Simd>(&self, s: S, m: usize, out: &mut [f32]) {
        let panels = if S::REGISTERS == 32 { 2 } else { 1 };
        for rows in row_blocks(m, self.k * size_of::<f32>()) {
            for channel in (0..self.n).step_by(panels * LANES) {
                if S::REGISTERS == 32 {
                    row_tiles!(S, rows.clone(), i, R, {
                        self.blocks::<S, R, 2>(s, i, channel, out);
                    });
                } else {
                    row_tiles!(S, rows.clone(), i, R, {
                        self.blocks::<S, R, 1>(s, i, channel, out);
                    });
                }
            }
        }
    }
}

#[inline(always)]
pub(crate) fn gemm_f32<S: Simd>(
    s: S,
    a: &[f32],
    m: usize,
    b: &PackedF32<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let product = Product {
        a,
        k: b.k(),
        n: b.n(),
        lines: b.data().as_chunks().0,
        bias,
        act,
    };
    product.run(s, m, out);
}

#[inline(always)]
pub(crate) fn gemm_f16<S: Simd>(
    s: S,
    a: &[f32],
    m: usize,
    b: &PackedF16<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let product = Product {
        a,
        k: b.k(),
        n: b.n(),
        lines: b.data().as_chunks().0,
        bias,
        act,
    };
    product.run(s, m, out);
}
