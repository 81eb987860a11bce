//! Word, position and segment embeddings.

use lanerank_kernels::{Activation, Kernels};

use super::linear::Linear;
use super::loader::Loader;
use super::norm::LayerNorm;
use super::table::Table;
use crate::config::ModelConfig;
use crate::error::Error;
use crate::scratch::Quantized;
use crate::tokenizer::Token;

/// The three tables, the layer norm over their sum, and a projection to the layers' width if the
/// embeddings have another.
pub(crate) struct Embeddings {
    word: Table,
    position: Table,
    token_type: Table,
    norm: LayerNorm,
    project: Option<Linear>,
    width: usize,
}

impl Embeddings {
    pub(crate) fn load(loader: &mut Loader<'_, '_>, config: &ModelConfig) -> Result<Self, Error> {
        let width = config.embedding_size();
        Ok(Embeddings {
            word: loader.table("word")?,
            position: loader.table("position")?,
            token_type: loader.table("token_type")?,
            norm: loader.norm("layer_norm")?,
            project: if width == config.hidden_size {
                None
            } else {
                Some(loader.linear("project")?)
            },
            width,
        })
    }

    /// `x[tokens, hidden] = project(norm((word + position) + segment))`. `narrow` is memory for rows
    /// before the projection.
    pub(crate) fn apply(
        &self,
        kernels: &Kernels,
        tokens: &[Token],
        narrow: &mut Vec<f32>,
        quantized: &mut Quantized,
        x: &mut Vec<f32>,
    ) {
        let Some(project) = &self.project else {
            return self.embed(kernels, tokens, x);
        };
        self.embed(kernels, tokens, narrow);
        x.clear();
        x.resize(tokens.len() * project.out_features(), 0.0);
        project.apply(kernels, narrow, Activation::None, quantized, x);
    }

    /// `x[tokens, width] = norm((word + position) + segment)`.
    fn embed(&self, kernels: &Kernels, tokens: &[Token], x: &mut Vec<f32>) {
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
