//! The head of a model: a classifier's logits or an encoder's vector.

use lanerank_kernels::{Activation, Kernels};

use super::linear::Linear;
use super::loader::Loader;
use super::table::Table;
use crate::batch::Sequence;
use crate::error::Error;
use crate::format::storage::View;
use crate::scratch::{LayerScratch, sized};

/// A dense layer with an activation, and a classifier.
pub(crate) struct Classifier {
    pooler: Linear,
    act: Activation,
    /// `[labels, hidden]`, used a row at a time in f32, the same on every tier.
    classifier: Table,
    bias: View<f32>,
}

impl Classifier {
    /// `act` is the activation of the dense layer.
    pub(crate) fn load(loader: &mut Loader<'_, '_>, act: Activation) -> Result<Self, Error> {
        let pooler = loader.linear("pooler")?;
        let (classifier, bias) = loader.table_with_bias("classifier")?;
        Ok(Classifier {
            pooler,
            act,
            classifier,
            bias,
        })
    }

    /// `s.x[sequences, hidden]`, first tokens, to `out[sequences, labels]`.
    pub(crate) fn apply(&self, kernels: &Kernels, s: &mut LayerScratch, out: &mut Vec<f32>) {
        let hidden = self.pooler.out_features();
        let labels = self.bias.len();
        let pooled = sized(&mut s.delta, s.x.len());
        self.pooler
            .apply(kernels, &s.x, self.act, &mut s.quantized, pooled);
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
pub(crate) fn mean_pool(sequences: &[Sequence], x: &[f32], hidden: usize, out: &mut Vec<f32>) {
    out.clear();
    out.resize(sequences.len() * hidden, 0.0);
    for (sequence, sum) in sequences.iter().zip(out.chunks_exact_mut(hidden)) {
        let rows = &x[sequence.full.start * hidden..sequence.full.end * hidden];
        for row in rows.chunks_exact(hidden) {
            for (sum, x) in sum.iter_mut().zip(row) {
                *sum += x;
            }
        }
        let count = sequence.full.len() as f32;
        sum.iter_mut().for_each(|sum| *sum /= count);
    }
}

/// Scales each row to unit length. A row of zeros stays as it is.
pub(crate) fn normalize(kernels: &Kernels, rows: &mut [f32], hidden: usize) {
    /// The floor of `torch.nn.functional.normalize`.
    const MIN_NORM: f32 = 1e-12;
    for row in rows.chunks_exact_mut(hidden) {
        let norm = kernels.dot(row, row).sqrt().max(MIN_NORM);
        row.iter_mut().for_each(|x| *x /= norm);
    }
}

/// The logit that passages are ranked by: the only one, or the second less the first, because
/// softmax(a, b)\[1\] = sigmoid(b - a).
pub(crate) fn log_odds(logits: &[f32]) -> f32 {
    match logits {
        [no, yes] => yes - no,
        _ => logits[0],
    }
}

/// Cosine similarity; 0 if a vector is all zeros.
pub(crate) fn cosine(kernels: &Kernels, a: &[f32], b: &[f32]) -> f32 {
    let norms = kernels.dot(a, a).sqrt() * kernels.dot(b, b).sqrt();
    if norms == 0.0 {
        0.0
    } else {
        kernels.dot(a, b) / norms
    }
}
