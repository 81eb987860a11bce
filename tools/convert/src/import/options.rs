//! The caller's choices for reading a source.

use std::fmt;

use lanerank::model::{Head, ModelConfig, Pooling};

use super::error::ImportError;

/// Choices for reading a source. Every default is taken from the source itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Format of the weights. Default: detected.
    pub kind: Option<Kind>,
    /// Pooling of an encoder's token vectors. Default: as its files say.
    pub pooling: Option<Pooling>,
    /// Default maximum length of the model, in tokens. Default: as the tokenizer's files say.
    pub max_length: Option<usize>,
}

/// Format of a source's weights. All formats except GGUF need `config.json` and `tokenizer.json` or
/// `vocab.txt` next to the weights.
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

/// Refuses a choice of pooling for a cross-encoder.
pub(super) fn check_pooling(options: &Options, head: &Head) -> Result<(), ImportError> {
    match (options.pooling, head) {
        (Some(_), Head::Classifier { .. }) => Err(ImportError::Option {
            name: "pooling",
            reason: "is for encoders; this is a cross-encoder".into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses a maximum length that is longer than the model's positions.
pub(super) fn check_max_length(config: &ModelConfig, options: &Options) -> Result<(), ImportError> {
    let positions = config.max_position_embeddings;
    match options.max_length {
        Some(length) if length > positions => Err(ImportError::Option {
            name: "max_length",
            reason: format!("the model has {positions} positions"),
        }),
        _ => Ok(()),
    }
}
