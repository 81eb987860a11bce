//! What stands on the layers: a classifier's logits or an encoder's vector.

use lanerank_kernels::{Activation, Kernels};

use super::linear::{Linear, Precision};
use super::table::Table;
use crate::Error;
use crate::batch::Sequence;
use crate::format::sections::Sections;
use crate::format::storage::View;
use crate::model::ModelConfig;
use crate::scratch::{LayerScratch, sized};

/// Pooler (dense + tanh on the first token) and classifier.
pub struct Classifier {
    pooler: Linear,
    /// `[labels, hidden]`, used a row at a time in f32, the same on every tier.
    classifier: Table,
    bias: View<f32>,
    hidden_size: usize,
}

impl Classifier {
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        config: &ModelConfig,
        num_labels: usize,
    ) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        Ok(Classifier {
            pooler: Linear::load(sections, "pooler", &[hidden, hidden])?,
            classifier: Table::load(sections, "classifier", num_labels, hidden)?,
            bias: sections.finite("classifier.bias", &[num_labels])?,
            hidden_size: hidden,
        })
    }

    /// `s.x[sequences, hidden]`, first tokens, to `out[sequences, labels]`.
    pub fn apply(&self, kernels: &Kernels, s: &mut LayerScratch, out: &mut Vec<f32>) {
        let hidden = self.hidden_size;
        let labels = self.bias.len();
        let pooled = sized(&mut s.delta, s.x.len());
        self.pooler.apply(
            kernels,
            0,
            &s.x,
            Precision::Sixteen,
            Activation::Tanh,
            &mut s.quantized,
            pooled,
        );
        out.clear();
        out.resize(pooled.len() / hidden * labels, 0.0);
        let weights = sized(&mut s.head_in, hidden);
        for (label, &bias) in self.bias.iter().enumerate() {
            weights.fill(0.0);
            self.classifier.add_row(kernels, label, weights);
            for (i, row) in pooled.chunks_exact(hidden).enumerate() {
                out[i * labels + label] = kernels.dot(row, weights) + bias;
            }
        }
    }
}

/// The mean of each sequence's rows of `x`, into `out[sequences, hidden]`.
pub fn mean_pool(sequences: &[Sequence], x: &[f32], hidden: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(sequences.len() * hidden, 0.0);
    for (sequence, sum) in sequences.iter().zip(out.chunks_exact_mut(hidden)) {
        for row in x[sequence.full.start * hidden..sequence.full.end * hidden].chunks_exact(hidden)
        {
            for (sum, x) in sum.iter_mut().zip(row) {
                *sum += x;
            }
        }
        let count = sequence.full.len() as f32;
        sum.iter_mut().for_each(|sum| *sum /= count);
    }
}

/// Scales each row to unit length; a row of zeros stays as it is.
pub fn normalize(kernels: &Kernels, rows: &mut [f32], hidden: usize) {
    // The floor is that of torch.nn.functional.normalize.
    const MIN_NORM: f32 = 1e-12;
    for row in rows.chunks_exact_mut(hidden) {
        let norm = kernels.dot(row, row).sqrt().max(MIN_NORM);
        row.iter_mut().for_each(|x| *x /= norm);
    }
}
