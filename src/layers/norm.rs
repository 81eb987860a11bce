//! Layer norm.

use lanerank_kernels::Kernels;

use crate::error::Error;
use crate::format::sections::Sections;
use crate::format::storage::View;
use crate::schema::Weight;

/// Scale and shift of a layer norm.
pub(crate) struct LayerNorm {
    weight: View<f32>,
    bias: View<f32>,
    eps: f32,
}

impl LayerNorm {
    pub(super) fn load(
        sections: &mut Sections<'_>,
        weight: &Weight,
        eps: f32,
    ) -> Result<Self, Error> {
        let mut part =
            |part: &str| sections.finite(&format!("{}.{part}", weight.name), &weight.shape);
        Ok(LayerNorm {
            weight: part("weight")?,
            bias: part("bias")?,
            eps,
        })
    }

    /// Normalises each row of `x[m, width]`.
    pub(crate) fn apply(&self, kernels: &Kernels, x: &mut [f32]) {
        let n = self.weight.len();
        kernels.layer_norm(x, &self.weight, &self.bias, self.eps, x.len() / n, n);
    }

    /// `x = norm(x + delta)`, row by row.
    pub(crate) fn add(&self, kernels: &Kernels, x: &mut [f32], delta: &[f32]) {
        let n = self.weight.len();
        let m = x.len() / n;
        kernels.add_layer_norm(x, delta, &self.weight, &self.bias, self.eps, m, n);
    }
}
