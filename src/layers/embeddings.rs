//! Word, position and segment embeddings.

use lanerank_kernels::Kernels;

use super::norm::LayerNorm;
use super::table::Table;
use crate::Error;
use crate::batch::Token;
use crate::format::sections::Sections;
use crate::model::ModelConfig;

/// The three tables and the layer norm over their sum.
pub struct Embeddings {
    word: Table,
    position: Table,
    token_type: Table,
    norm: LayerNorm,
    hidden_size: usize,
}

impl Embeddings {
    pub(crate) fn load(sections: &mut Sections<'_>, config: &ModelConfig) -> Result<Self, Error> {
        let width = config.hidden_size;
        let mut table =
            |name: &str, rows| Table::load(sections, &format!("embeddings.{name}"), rows, width);
        Ok(Embeddings {
            word: table("word", config.vocab_size)?,
            position: table("position", config.max_position_embeddings)?,
            token_type: table("token_type", config.type_vocab_size)?,
            norm: LayerNorm::load(
                sections,
                "embeddings.layer_norm",
                width,
                config.layer_norm_eps,
            )?,
            hidden_size: width,
        })
    }

    /// `x[tokens, hidden]` = norm((word + position) + segment).
    pub fn apply(&self, kernels: &Kernels, tokens: &[Token], x: &mut Vec<f32>) {
        x.clear();
        x.resize(tokens.len() * self.hidden_size, 0.0);
        for (token, row) in tokens.iter().zip(x.chunks_exact_mut(self.hidden_size)) {
            self.word.add_row(kernels, token.id as usize, row);
            self.position.add_row(kernels, token.position as usize, row);
            self.token_type.add_row(kernels, token.type_id.into(), row);
        }
        self.norm.apply(kernels, x);
    }
}
