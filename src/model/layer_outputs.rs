//! What a model's layers put out, for whoever compares two conversions of it.

use lanerank_kernels::Kernels;

use super::{Head, Model};
use crate::layers::attention::Prefix;
use crate::scoring::{Cut, PairQuery, push_single};
use crate::scratch::Scratch;

impl Model {
    /// The residual stream after each layer, `[tokens, hidden_size]`; of a layer that computes the
    /// first token only (a cross-encoder's last one), `[1, hidden_size]`. A cross-encoder reads the
    /// pair, a sentence encoder the passage alone.
    pub fn layer_outputs(&self, kernels: &Kernels, query: &str, passage: &str) -> Vec<Vec<f32>> {
        let mut scratch = Scratch::default();
        let (tokenizer, max_length) = (self.tokenizer(), self.config().max_length);
        match self.config().head {
            Head::Classifier { .. } => {
                let mut pair = PairQuery::default();
                let cut = Cut::default();
                pair.set(
                    self,
                    tokenizer,
                    kernels,
                    query,
                    max_length,
                    cut,
                    &mut scratch,
                );
                // Shared rows are the same rows; here all are wanted.
                pair.prefix = Prefix::default();
                pair.push(tokenizer, passage, &mut scratch);
            }
            Head::Encoder { .. } => {
                push_single(tokenizer, passage, max_length, Cut::default(), &mut scratch);
            }
        }
        let mut outputs = Vec::with_capacity(self.config().num_hidden_layers);
        let watch = |x: &[f32]| outputs.push(x.to_vec());
        let bert = self.bert();
        bert.run_watched(kernels, &Prefix::default(), &mut scratch, watch);
        outputs
    }
}
