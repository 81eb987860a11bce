//! Layer norm's weights.

use lanerank_kernels::Kernels;

use crate::Error;
use crate::format::sections::Sections;
use crate::format::storage::View;

/// Scale and shift of a layer norm.
pub struct LayerNorm {
    weight: View<f32>,
    bias: View<f32>,
    eps: f32,
}

impl LayerNorm {
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        name: &str,
        hidden_size: usize,
        eps: f32,
    ) -> Result<Self, Error> {
        Ok(LayerNorm {
            weight: sections.finite(&format!("{name}.weight"), &[hidden_size])?,
            bias: sections.finite(&format!("{name}.bias"), &[hidden_size])?,
            eps,
        })
    }

    /// Normalises each row of `x[m, hidden]`.
    pub fn apply(&self, kernels: &Kernels, x: &mut [f32]) {
        self.run(kernels, x, None);
    }

    /// Normalises each row of `x + delta`, into `x`.
    pub fn add(&self, kernels: &Kernels, x: &mut [f32], delta: &[f32]) {
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
