//! Models as others keep them, read for [`convert`](crate::convert).
//!
//! ```no_run
//! use lanerank_convert::convert::{ConvertOptions, convert};
//! use lanerank_convert::import::{self, Options};
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

mod archive;
mod detect;
mod elements;
mod entries;
mod error;
mod files;
mod gguf;
mod huggingface;
mod names;
#[cfg(feature = "onnx")]
mod onnx;
mod pytorch;
mod refusals;
mod safetensors;
mod shards;
mod stream;
mod weights;

use std::fmt;
use std::path::Path;

use lanerank::Tokenizer;
use lanerank::model::{Head, ModelConfig, Pooling};

use crate::source::TensorSource;

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

/// Kinds of sources: what the weights are in. All but GGUF have `config.json` and `tokenizer.json` or
/// `vocab.txt` beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `model.safetensors`, or several files and `model.safetensors.index.json`.
    Safetensors,
    /// `pytorch_model.bin`.
    Pytorch,
    /// An ONNX file.
    Onnx,
    /// A GGUF file, which is a whole model.
    Gguf,
    /// A zip archive of a model folder, such as FlashRank's, with weights of any kind.
    Zip,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Safetensors => "safetensors",
            Kind::Pytorch => "pytorch",
            Kind::Onnx => "onnx",
            Kind::Gguf => "gguf",
            Kind::Zip => "zip",
        })
    }
}

/// A model, read and found fit for conversion.
pub struct Source {
    /// What its weights are in.
    pub kind: Kind,
    /// Shape and rules.
    pub config: ModelConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The weights, still where they were.
    pub tensors: Box<dyn TensorSource + Send>,
    /// What whoever converts should be told, a line each.
    pub notes: Vec<String>,
    /// Where the source says how it is computed (ONNX): by how much what that gives differs at most
    /// from what was read from it, in f32, over the self-test's texts. Of a logit, as a share of its
    /// size where it is beyond 1; of an encoder's vector, 1 less the cosine.
    pub graph_difference: Option<f32>,
}

/// Opens a source: finds out what it is and whether lanerank can run it. That is a model folder, a zip
/// archive of one, or a file of weights with the rest of the model beside it. Weights are read when
/// [`convert`](crate::convert::convert) asks for them; only what lies in an archive is in memory before.
///
/// # Errors
/// When a file is missing or wrong, or the model is of a kind that lanerank does not run.
pub fn open(path: &Path, options: &Options) -> Result<Source, ImportError> {
    let found = detect::find(path, options.kind)?;
    match found.kind {
        Kind::Gguf => gguf::open(found.files.open(&found.weights)?, options),
        kind => huggingface::open(&found.files, kind, &found.weights, options),
    }
}

fn check_pooling(options: &Options, head: &Head) -> Result<(), ImportError> {
    match (options.pooling, head) {
        (Some(_), Head::Classifier { .. }) => Err(ImportError::Option {
            name: "pooling",
            reason: "is for encoders; this is a cross-encoder".into(),
        }),
        _ => Ok(()),
    }
}

fn check_max_length(config: &ModelConfig, options: &Options) -> Result<(), ImportError> {
    let positions = config.max_position_embeddings;
    match options.max_length {
        Some(length) if length > positions => Err(ImportError::Option {
            name: "max_length",
            reason: format!("the model has {positions} positions"),
        }),
        _ => Ok(()),
    }
}
