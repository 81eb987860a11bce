//! Word, position and segment embeddings.

use lanerank_kernels::Kernels;

use super::loader::Loader;
use super::norm::LayerNorm;
use super::table::Table;
use crate::config::ModelConfig;
use crate::error::Error;
use crate::tokenizer::Token;

/// The three tables, and the layer norm over their sum.
pub(crate) struct Embeddings {
    word: Table,
    position: Table,
    token_type: Table,
    norm: LayerNorm,
    width: usize,
}

impl Embeddings {
    pub(crate) fn load(loader: &mut Loader<'_, '_>, config: &ModelConfig) -> Result<Self, Error> {
        Ok(Embeddings {
            word: loader.table("word")?,
            position: loader.table("position")?,
            token_type: loader.table("token_type")?,
            norm: loader.norm("layer_norm")?,
            width: config.hidden_size,
        })
    }

    /// `x[tokens, width] = norm((word + position) + segment)`.
    pub(crate) fn apply(&self, kernels: &Kernels, tokens: &[Token], x: &mut Vec<f32>) {
        x.clear();
        x.resize(tokens.len() * self.width, 0.0);
        for (token, row) in tokens.iter().zip(x.chunks_exact_mut(self.width)) {
            self.word.add_row(kernels, token.id as usize, row);
            self.position.add_row(kernels, token.position as usize, row);
            self.token_type.add_row(kernels, token.type_id.into(), row);
        }
        self.norm.apply(kernels, x);
    }
}
