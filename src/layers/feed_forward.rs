//! The feed-forward half of a layer.

use lanerank_kernels::{Activation, Kernels};

use super::linear::Linear;
use super::loader::Loader;
use super::norm::LayerNorm;
use crate::config::ModelConfig;
use crate::error::Error;
use crate::scratch::{LayerScratch, sized};

/// Two linear layers with an activation between them, and a layer norm.
pub(crate) struct FeedForward {
    intermediate: Linear,
    output: Linear,
    norm: LayerNorm,
    act: Activation,
}

impl FeedForward {
    pub(crate) fn load(loader: &mut Loader<'_, '_>, config: &ModelConfig) -> Result<Self, Error> {
        let intermediate = loader.linear("intermediate")?;
        let output = loader.linear("output")?;
        Ok(FeedForward {
            act: if output.is_int8() {
                config.hidden_act.before_rounding()
            } else {
                config.hidden_act
            },
            intermediate,
            output,
            norm: loader.norm("layer_norm")?,
        })
    }

    /// `x = norm(x + output(act(intermediate(x))))` on every row of `s.x`.
    pub(crate) fn apply(&self, kernels: &Kernels, s: &mut LayerScratch) {
        let m = s.x.len() / self.output.out_features();
        let inner = sized(&mut s.inner, m * self.intermediate.out_features());
        let delta = sized(&mut s.delta, s.x.len());
        let quantized = &mut s.quantized;
        self.intermediate
            .apply(kernels, &s.x, self.act, quantized, inner);
        self.output
            .apply(kernels, inner, Activation::None, quantized, delta);
        self.norm.add(kernels, &mut s.x, delta);
    }
}
