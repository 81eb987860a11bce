//! Operations on slices, whose parameters are few enough to be a method's.

use half::f16;

use super::check;
use crate::{Activation, Kernels};

pub(crate) struct Softmax<'a>(pub(crate) &'a mut [f32]);

pub(crate) struct Activate<'a> {
    pub(crate) act: Activation,
    pub(crate) x: &'a mut [f32],
}

pub(crate) struct Dot<'a> {
    pub(crate) a: &'a [f32],
    pub(crate) b: &'a [f32],
}

pub(crate) struct AddScaledI8<'a> {
    pub(crate) row: &'a [i8],
    pub(crate) scale: f32,
    pub(crate) out: &'a mut [f32],
}

pub(crate) struct WidenF16<'a> {
    pub(crate) src: &'a [f16],
    pub(crate) dst: &'a mut [f32],
}

impl Kernels {
    /// `x_i = exp(x_i - max x) * (1 / sum_j exp(x_j - max x))`, the sum by 16 lanes.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.softmax)(Softmax(x));
    }

    /// Applies a function to each value.
    pub fn activate(&self, act: Activation, x: &mut [f32]) {
        (self.activate)(Activate { act, x });
    }

    /// `sum_i a[i] * b[i]` by 16 lanes.
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        check("b", b.len(), &[a.len()]);
        (self.dot)(Dot { a, b })
    }

    /// `out[i] = out[i] + scale * f32(row[i])`: adds a row of an int8 embedding table.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add_scaled_i8(&self, row: &[i8], scale: f32, out: &mut [f32]) {
        check("out", out.len(), &[row.len()]);
        (self.add_scaled_i8)(AddScaledI8 { row, scale, out });
    }

    /// Widens f16 to f32, exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn widen_f16(&self, src: &[f16], dst: &mut [f32]) {
        check("dst", dst.len(), &[src.len()]);
        (self.widen_f16)(WidenF16 { src, dst });
    }
}
