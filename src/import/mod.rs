//! Models as others keep them, read for [`convert`](crate::convert): feature `import`.
//!
//! ```no_run
//! use lanerank::convert::{ConvertOptions, convert};
//! use lanerank::import::{self, Options};
//!
//! let mut source = import::open("ms-marco-TinyBERT-L-2-v2".as_ref(), &Options::default())?;
//! let options = ConvertOptions::default();
//! let file = convert(&source.config, &source.tokenizer, &mut *source.tensors, &options, &mut |_, _| ())?;
//! lanerank::format::write::write_file("tinybert.lane".as_ref(), &file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nothing that a source holds is run, and nothing is written. A model that is not understood
//! entirely is refused with an [`ImportError`] that names what was not.

mod entries;
mod error;
mod huggingface;
mod json;
mod names;
mod refusals;
mod safetensors;

use std::path::Path;

use crate::Tokenizer;
use crate::format::source::TensorSource;
use crate::model::{ModelConfig, Pooling};

pub use entries::Entries;
pub use error::ImportError;
pub use huggingface::{tokenizer_json, vocab_txt};

/// What the source may leave open or the user may overrule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What the source is; found out where it is not said.
    pub kind: Option<Kind>,
    /// How an encoder's token vectors become one; else as its files say.
    pub pooling: Option<Pooling>,
    /// Longest sequence by default, in tokens; else as the tokenizer's files say.
    pub max_length: Option<usize>,
}

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A folder in Hugging Face's layout: `config.json`, `model.safetensors` and `tokenizer.json` or
    /// `vocab.txt`.
    Huggingface,
}

/// A model, read and found fit for conversion.
pub struct Source {
    /// What it was read as.
    pub kind: Kind,
    /// Shape and rules.
    pub config: ModelConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The weights, still where they were.
    pub tensors: Box<dyn TensorSource + Send>,
    /// What whoever converts should be told, a line each.
    pub notes: Vec<String>,
}

/// Opens a source: finds out what it is and whether lanerank can run it. Weights are read when
/// [`convert`](crate::convert::convert) asks for them.
///
/// # Errors
/// When a file is missing or wrong, or the model is of a kind that lanerank does not run.
pub fn open(path: &Path, options: &Options) -> Result<Source, ImportError> {
    match options.kind.unwrap_or(Kind::Huggingface) {
        Kind::Huggingface => huggingface::open(path, options),
    }
}
