//! The file or files that hold a model's weights: which they are, and how they are opened.

use lanerank::Tokenizer;
use lanerank::model::ModelConfig;

use super::error::ImportError;
use super::files::Files;
use super::pytorch::PyTorch;
use super::safetensors::SafeTensors;
use super::shards::{self, Shards};
use super::{Kind, onnx};
use crate::source::TensorSource;

/// Weights under the names the library asks for, all of which can be listed.
pub trait Weights: TensorSource + Send {
    /// Names of all tensors, sorted.
    fn names(&self) -> Vec<String>;

    /// Takes over the settings that the weights' file has itself into what `config.json` says, if
    /// they agree. Returns what whoever converts should be told.
    ///
    /// # Errors
    /// What the two do not agree on.
    fn adopt(&self, config: &mut ModelConfig) -> Result<Vec<String>, ImportError> {
        let _ = config;
        Ok(Vec::new())
    }

    /// Where the file says how the model is computed: computes the self-test's texts so, and as
    /// lanerank understands it in f32. Returns the largest difference.
    ///
    /// # Errors
    /// When they differ by more than rounding.
    fn verify(
        &mut self,
        config: &ModelConfig,
        tokenizer: &Tokenizer,
    ) -> Result<Option<f32>, ImportError> {
        let _ = (config, tokenizer);
        Ok(None)
    }
}

/// Names of weights files, the best source first.
const KNOWN: [(&str, Kind); 12] = [
    ("model.safetensors", Kind::Safetensors),
    (shards::INDEX, Kind::Safetensors),
    ("pytorch_model.bin", Kind::Pytorch),
    ("model.onnx", Kind::Onnx),
    ("onnx/model.onnx", Kind::Onnx),
    // FlashRank's.
    ("flashrank-TinyBERT-L-2-v2.onnx", Kind::Onnx),
    ("flashrank-MiniLM-L-12-v2_Q.onnx", Kind::Onnx),
    ("flashrank-MultiBERT-L12_Q.onnx", Kind::Onnx),
    ("flashrank-ce-esci-MiniLM-L12-v2_Q.onnx", Kind::Onnx),
    ("miniReranker_arabic_v1.onnx", Kind::Onnx),
    ("model_quantized.onnx", Kind::Onnx),
    ("onnx/model_quantized.onnx", Kind::Onnx),
];

/// Files with weights that cannot be read, and why.
const UNREADABLE: [(&str, &str); 5] = [
    (
        "pytorch_model.bin.index.json",
        "pickles in several files are not read; save the model as model.safetensors",
    ),
    (
        "tf_model.h5",
        "TensorFlow weights are not supported; save the model as model.safetensors",
    ),
    (
        "flax_model.msgpack",
        "Flax weights are not supported; save the model as model.safetensors",
    ),
    (
        "openvino_model.xml",
        "OpenVINO models are not supported; convert the model that it was made from",
    ),
    (
        "model.bin",
        "CTranslate2 models are not supported; convert the model that it was made from",
    ),
];

/// The weights of a folder or archive: of one kind, or the best that there is.
///
/// # Errors
/// When there are none, or it cannot be told which are meant.
pub fn find(files: &Files, kind: Option<Kind>) -> Result<(Kind, String), ImportError> {
    let wanted = |of: Kind| kind.is_none_or(|kind| kind == of);
    let known = KNOWN
        .iter()
        .find(|(name, of)| wanted(*of) && files.has(name));
    if let Some(&(name, kind)) = known {
        return Ok((kind, name.to_owned()));
    }
    let names = files.names();
    for (ending, of) in [(".onnx", Kind::Onnx), (".gguf", Kind::Gguf)] {
        let mut others = names.iter().filter(|name| name.ends_with(ending));
        match (others.next(), others.next()) {
            _ if !wanted(of) => {}
            (Some(only), None) => return Ok((of, only.clone())),
            (Some(one), Some(other)) => {
                let reason =
                    format!("{one} and {other} in one folder; name the file that is meant");
                return Err(ImportError::at(files.root(), reason));
            }
            _ => {}
        }
    }
    let found = UNREADABLE.iter().find(|(name, _)| files.has(name));
    Err(match (found, kind) {
        (Some((name, reason)), None) => ImportError::at(files.path(name), reason),
        (_, Some(kind)) => ImportError::at(files.root(), format!("no {kind} weights here")),
        _ => ImportError::at(
            files.root(),
            "no model.safetensors, pytorch_model.bin, .onnx or .gguf in this folder",
        ),
    })
}

/// Opens weights whose configuration lies beside them.
///
/// # Errors
/// What is wrong with the file.
pub fn open(files: &Files, kind: Kind, name: &str) -> Result<Box<dyn Weights>, ImportError> {
    Ok(match kind {
        Kind::Pytorch => Box::new(PyTorch::open(files.open(name)?)?),
        #[cfg(feature = "onnx")]
        Kind::Onnx => onnx::open(files, name)?,
        #[cfg(not(feature = "onnx"))]
        Kind::Onnx => {
            let reason = "ONNX files need the feature `onnx`, which this build lacks";
            return Err(ImportError::at(files.path(name), reason));
        }
        _ if name.ends_with(".index.json") => Box::new(Shards::open(files, name)?),
        _ => Box::new(SafeTensors::open(files.open(name)?)?),
    })
}
