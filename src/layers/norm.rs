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
        self.run(kernels, x, None);
    }

    /// `x = norm(x + delta)`, row by row.
    pub(crate) fn add(&self, kernels: &Kernels, x: &mut [f32], delta: &[f32]) {
        self.run(kernels, x, Some(delta));
    }

    fn run(&self, kernels: &Kernels, x: &mut [f32], delta: Option<&[f32]>) {
        kernels.layer_norm(lanerank_kernels::LayerNorm {
            x,
            delta,
            weight: &self.weight,
            bias: &self.bias,
            eps: self.eps,
        });
    }
}
