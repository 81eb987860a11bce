//! The feed-forward half of a layer.

use lanerank_kernels::{Activation, Kernels};

use super::linear::Linear;
use super::norm::LayerNorm;
use crate::Error;
use crate::format::sections::Sections;
use crate::model::{Activations, Matrix, ModelConfig};
use crate::scratch::{LayerScratch, sized};

/// Two linear layers with an activation between, and layer norm.
pub struct FeedForward {
    intermediate: Linear,
    output: Linear,
    norm: LayerNorm,
    act: Activation,
    activations: Activations,
}

impl FeedForward {
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        name: &str,
        config: &ModelConfig,
        activations: Activations,
    ) -> Result<Self, Error> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        Ok(FeedForward {
            intermediate: Linear::load_after_norm(
                sections,
                &format!("{name}.intermediate"),
                &[inner, hidden],
            )?,
            output: Linear::load(sections, &format!("{name}.output"), &[hidden, inner])?,
            norm: LayerNorm::load(
                sections,
                &format!("{name}.layer_norm"),
                hidden,
                config.layer_norm_eps,
            )?,
            act: config.hidden_act,
            activations,
        })
    }

    /// `x = norm(x + output(act(intermediate(x))))` on every row of `s.x`.
    pub fn apply(&self, kernels: &Kernels, s: &mut LayerScratch) {
        let m = s.x.len() / self.output.out_features();
        let inner = sized(&mut s.inner, m * self.intermediate.out_features());
        let delta = sized(&mut s.delta, s.x.len());
        let quantized = &mut s.quantized;
        let act = match self.output.is_int8() {
            true => self.act.before_rounding(),
            false => self.act,
        };
        let precision = self.activations.of(Matrix::FfnIntermediate);
        self.intermediate
            .apply(kernels, 0, &s.x, precision, act, quantized, inner);
        let (precision, act) = (self.activations.of(Matrix::FfnOutput), Activation::None);
        self.output
            .apply(kernels, 0, inner, precision, act, quantized, delta);
        self.norm.add(kernels, &mut s.x, delta);
    }
}
