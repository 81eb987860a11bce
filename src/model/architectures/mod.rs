//! The architectures: what their weights are, and how they compute.
//!
//! # Checklist: another architecture
//!
//! 1. `src/model/architectures/NAME.rs`: its [`WeightTable`], its positions and its `Network`.
//!    `bert.rs` is the pattern; an architecture that differs in a part only reuses the rest, as
//!    `electra.rs` does. New parts go to `src/layers`.
//! 2. `src/model/architectures/mod.rs`: an arm of `of`.
//! 3. `src/config.rs`: a variant of `Architecture` with the sizes that only it has.
//! 4. `src/format/config.rs`: its code, and the field of those sizes.
//! 5. `src/format/FORMAT.md`: the code, and the printed table (a test checks it).
//! 6. `tools/convert/src/import/huggingface/config.rs`: its `model_type` and settings.
//!
//! `tests/common`, `estimate`, `bench` and the converter follow from the table.

pub mod bert;
pub mod electra;
pub mod xlm_roberta;

use std::ops::ControlFlow;

use lanerank_kernels::Kernels;

use crate::config::{Architecture, ModelConfig};
use crate::error::Error;
use crate::layers::attention::Prefix;
use crate::layers::loader::Loader;
use crate::schema::{Schema, WeightTable};
use crate::scratch::{LayerScratch, Scratch};
use crate::tokenizer::Positions;

/// What an architecture supplies.
pub(crate) struct Definition {
    /// Its weights.
    pub(crate) table: WeightTable,
    /// The positions of its tokens.
    pub(crate) positions: Positions,
    /// Takes the weights out of a file, in the table's order.
    pub(crate) load: Load,
}

type Load = fn(&mut Loader<'_, '_>, &ModelConfig) -> Result<Box<dyn Network>, Error>;

/// Sees the residual stream after each layer, and may end the computation.
pub(crate) type Watch<'a> = dyn FnMut(&[f32]) -> ControlFlow<()> + 'a;

/// A model's weights, ready to compute with.
pub(crate) trait Network: Send + Sync {
    /// Computes what the sequences of a request share from `prefix.tokens`, their common first
    /// ones.
    fn prefix(&self, kernels: &Kernels, prefix: &mut Prefix, s: &mut LayerScratch);

    /// Computes `scratch.batch` into `scratch.out`, `[sequences, out_width]`. Each sequence's
    /// result depends on its own tokens alone, bit for bit.
    ///
    /// `watch` is given the residual stream after each layer: all rows, or one row per sequence
    /// after a last layer that computes first tokens only. If it breaks, so does the computation,
    /// and `scratch.out` has no meaning.
    fn run_watched(
        &self,
        kernels: &Kernels,
        prefix: &Prefix,
        scratch: &mut Scratch,
        watch: &mut Watch<'_>,
    ) -> ControlFlow<()>;
}

/// The architecture of a model.
pub(crate) fn of(config: &ModelConfig) -> &'static Definition {
    match config.architecture {
        Architecture::Bert => &bert::BERT,
        Architecture::Electra { .. } => &electra::ELECTRA,
        Architecture::XlmRoberta => &xlm_roberta::XLM_ROBERTA,
    }
}

/// The weights of a model: their names, shapes and source tensors.
pub fn schema(config: &ModelConfig) -> Schema<'_> {
    Schema::new(config, &of(config).table)
}

#[cfg(test)]
mod tests {
    use lanerank_kernels::Activation;

    use super::*;
    use crate::config::Head;
    use crate::schema::Extent;

    fn config(architecture: Architecture) -> ModelConfig {
        ModelConfig {
            architecture,
            hidden_size: 4,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            intermediate_size: 8,
            vocab_size: 9,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            head: Head::Classifier { num_labels: 1 },
            max_length: 16,
        }
    }

    /// Run with `PRINT_TABLES=1` to print the tables.
    #[test]
    fn format_md_lists_the_tables() {
        let page = include_str!("../../format/FORMAT.md");
        for definition in [&bert::BERT, &electra::ELECTRA, &xlm_roberta::XLM_ROBERTA] {
            let table = definition.table.markdown();
            if std::env::var_os("PRINT_TABLES").is_some() {
                println!("{table}");
            }
            assert!(page.contains(&table), "FORMAT.md lacks\n{table}");
        }
    }

    #[test]
    fn multiply_adds_by_hand() {
        // Lengths 5 and 7 that share 3 tokens.
        let extent = Extent {
            sequences: 2,
            tokens: 12,
            own: 9,
            squares: 25 + 49,
        };
        let sum = |config: &ModelConfig| -> u64 {
            schema(config).steps(extent).map(|(_, cost)| cost).sum()
        };
        let first = 9 * 48 + 12 * (16 + 64);
        let second = 12 * (48 + 16 + 64);
        let last = 2 * (5 * 16 + 64);
        let attention = 2 * 2 * 74 * 4 + 2 * 2 * 12 * 4;
        let bert = first + second + last + attention;
        assert_eq!(sum(&config(Architecture::Bert)), bert);
        let electra = |embedding_size| config(Architecture::Electra { embedding_size });
        assert_eq!(sum(&electra(4)), bert);
        assert_eq!(sum(&config(Architecture::XlmRoberta)), bert);
        assert_eq!(sum(&electra(6)), bert + 9 * 4 * 6);
    }

    #[test]
    fn weights_name_the_norms_that_they_read() {
        let norms = |embedding_size| -> Vec<(String, Option<String>)> {
            let config = config(Architecture::Electra { embedding_size });
            let weights = schema(&config).weights();
            weights
                .filter(|weight| weight.name.ends_with("project") || weight.name.ends_with("qkv"))
                .map(|weight| (weight.name, weight.input_norm))
                .collect()
        };
        let of = |name: &str, norm: Option<&str>| (name.to_owned(), norm.map(str::to_owned));
        let embeddings = Some("embeddings.LayerNorm");
        let second = of(
            "layers.1.attention.qkv",
            Some("encoder.layer.0.output.LayerNorm"),
        );
        assert_eq!(
            norms(4),
            [of("layers.0.attention.qkv", embeddings), second.clone()]
        );
        assert_eq!(
            norms(6),
            [
                of("embeddings.project", embeddings),
                of("layers.0.attention.qkv", None),
                second
            ]
        );
    }
}
