//! Matrix products.

use half::f16;

use super::check;
use crate::layout::{PackedFloat, PackedI8, padded_k};
use crate::{Epilogue, Kernels, Rows, RowsI16, RowsU8};

/// Parameters of [`Kernels::gemm_i8`].
#[derive(Debug)]
pub struct GemmI8<'a> {
    /// Input rows, of any padding.
    pub a: RowsU8<'a>,
    /// Weights, `n` by `k`.
    pub b: PackedI8<'a>,
    /// Bias and function.
    pub epilogue: Epilogue<'a>,
    /// `m * n` outputs.
    pub out: &'a mut [f32],
}

/// Parameters of [`Kernels::gemm_i8_a16`].
#[derive(Debug)]
pub struct GemmI8A16<'a> {
    /// Input rows, of any padding.
    pub a: RowsI16<'a>,
    /// Weights, `n` by `k`.
    pub b: PackedI8<'a>,
    /// Bias and function.
    pub epilogue: Epilogue<'a>,
    /// `m * n` outputs.
    pub out: &'a mut [f32],
}

/// Parameters of [`Kernels::gemm_f32`] and [`Kernels::gemm_f16`], whose weights are of type `T`.
#[derive(Debug)]
pub struct GemmFloat<'a, T> {
    /// Input rows.
    pub a: Rows<'a>,
    /// Weights, `n` by `k`.
    pub b: PackedFloat<'a, T>,
    /// Bias and function.
    pub epilogue: Epilogue<'a>,
    /// `m * n` outputs.
    pub out: &'a mut [f32],
}

#[track_caller]
fn check_outputs(epilogue: Epilogue<'_>, out: &[f32], m: usize, n: usize) {
    check("bias", epilogue.bias.len(), &[n]);
    check("out", out.len(), &[m, n]);
}

impl<T> GemmFloat<'_, T> {
    #[track_caller]
    fn check(&self) {
        let Rows { data, m, k } = self.a;
        assert!(k == self.b.k(), "a has depth {k}, b {}", self.b.k());
        check("a", data.len(), &[m, k]);
        check_outputs(self.epilogue, self.out, m, self.b.n());
    }
}

impl Kernels {
    /// Product of `u8` inputs and int8 weights: with the exact
    /// `acc = sum_d a[i][d] * w[j][d]` (i32),
    /// `out[i][j] = act(f32(acc - zero_i * sum_j) * (scale_i * weight_scale_j) + bias_j)`.
    ///
    /// # Panics
    /// If a slice does not have the length that `m`, `n` and `k` ask for.
    pub fn gemm_i8(&self, op: GemmI8<'_>) {
        let (m, n, k) = (op.a.params.len(), op.b.n(), op.b.k());
        check("a.data", op.a.data.len(), &[m, padded_k(k)]);
        check_outputs(op.epilogue, op.out, m, n);
        (self.gemm_i8)(op);
    }

    /// Product of 16-bit inputs and int8 weights; `a16` is short for activations (inputs) of 16
    /// bits. With the exact `acc_high` and `acc_low` of the two planes (i32),
    /// `sum = f32(acc_high - 128 * sum_j) * 256 + f32(acc_low)` and
    /// `out[i][j] = act(sum * (scale_i * weight_scale_j) + bias_j)`.
    ///
    /// # Panics
    /// If a slice does not have the length that `m`, `n` and `k` ask for.
    pub fn gemm_i8_a16(&self, op: GemmI8A16<'_>) {
        let (m, n, k) = (op.a.scales.len(), op.b.n(), op.b.k());
        check("a.high", op.a.high.len(), &[m, padded_k(k)]);
        check("a.low", op.a.low.len(), &[m, padded_k(k)]);
        check_outputs(op.epilogue, op.out, m, n);
        (self.gemm_i8_a16)(op);
    }

    /// Product in f32: `out[i][j] = act(sum_d a[i][d] * w[j][d] + bias_j)`, the sum with one
    /// accumulator from 0, `d` ascending. The x86-64 tiers fuse: they round each step of the sum
    /// once, the other tiers round its product and its sum. The tiers agree within 1e-4 of the sum
    /// of the magnitudes.
    ///
    /// # Panics
    /// If a slice does not have the length that `m`, `n` and `k` ask for, or `a` and `b` differ in
    /// depth.
    pub fn gemm_f32(&self, op: GemmFloat<'_, f32>) {
        op.check();
        (self.gemm_f32)(op);
    }

    /// [`gemm_f32`](Self::gemm_f32) with f16 weights, each first widened to f32, exactly.
    ///
    /// # Panics
    /// As [`gemm_f32`](Self::gemm_f32).
    pub fn gemm_f16(&self, op: GemmFloat<'_, f16>) {
        op.check();
        (self.gemm_f16)(op);
    }
}
