//! The architectures: what their weights are, and how they compute.
//!
//! # Checklist: another architecture
//!
//! 1. `src/model/architectures/NAME.rs`: its [`Table`] of weights, its frame and its [`Network`].
//!    `bert.rs` is the pattern; an architecture that differs in a part only reuses the rest, as
//!    `electra.rs` does. New parts go to `src/layers`.
//! 2. `src/model/architectures/mod.rs`: an arm of `of`.
//! 3. `src/config.rs`: a variant of `Architecture` with the sizes that only it has.
//! 4. `src/format/config.rs`: its code, and the field of those sizes.
//! 5. `src/format/FORMAT.md`: the code, and the printed table (a test checks it).
//! 6. `tools/convert/src/huggingface/config.rs`: its `model_type` and settings.
//!
//! `tests/common`, `estimate`, `bench` and the converter follow from the table.

pub mod bert;
pub mod electra;

use lanerank_kernels::Kernels;

use crate::config::{self, ModelConfig};
use crate::error::Error;
use crate::layers::attention::Prefix;
use crate::layers::loader::Loader;
use crate::schema::{Schema, Table};
use crate::scratch::{LayerScratch, Scratch};
use crate::tokenizer::FrameRules;

/// What an architecture supplies.
pub(crate) struct Architecture {
    /// Its weights.
    pub(crate) table: Table,
    /// Special tokens, positions and token types around its texts.
    pub(crate) frame: FrameRules,
    /// Takes the weights out of a file, in the table's order.
    pub(crate) load: Load,
}

type Load = fn(&mut Loader<'_, '_>, &ModelConfig) -> Result<Box<dyn Network>, Error>;

/// A model's weights, ready to compute with.
pub(crate) trait Network: Send + Sync {
    /// Computes what the sequences of a request share from `prefix.tokens`, their common first ones.
    fn prefix(&self, kernels: &Kernels, prefix: &mut Prefix, s: &mut LayerScratch);

    /// Computes `scratch.batch` into `scratch.out`, `[sequences, out_width]`. Each sequence's result
    /// depends on its own tokens alone, bit for bit.
    ///
    /// `watch` is given the residual stream after each layer: all rows, or one row per sequence
    /// after a last layer that computes first tokens only.
    fn run_watched(
        &self,
        kernels: &Kernels,
        prefix: &Prefix,
        scratch: &mut Scratch,
        watch: &mut dyn FnMut(&[f32]),
    );
}

/// The architecture of a model.
pub(crate) fn of(config: &ModelConfig) -> &'static Architecture {
    match config.architecture {
        config::Architecture::Bert => &bert::BERT,
        config::Architecture::Electra { .. } => &electra::ELECTRA,
    }
}

/// The weights of a model: their names, shapes and source tensors.
pub fn schema(config: &ModelConfig) -> Schema<'_> {
    Schema::new(config, &of(config).table)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with `PRINT_TABLES=1` to print the tables.
    #[test]
    fn format_md_lists_the_tables() {
        let page = include_str!("../../format/FORMAT.md");
        for architecture in [&bert::BERT, &electra::ELECTRA] {
            let table = architecture.table.markdown();
            if std::env::var_os("PRINT_TABLES").is_some() {
                println!("{table}");
            }
            assert!(page.contains(&table), "FORMAT.md lacks\n{table}");
        }
    }
}
