//! Model folders in Hugging Face's layout.

mod config;
mod sentence;
mod tokenizer;
mod tokenizer_json;
mod tokenizer_settings;

use std::path::{Path, PathBuf};

use super::error::ImportError;
use super::safetensors::SafeTensors;
use super::{Kind, Options, Source, json, names};
use crate::format::source::TensorSource;
use crate::model::{Head, ModelConfig};

pub use tokenizer::{tokenizer_json, vocab_txt};

use config::{Config, Task};

/// Unknown tensors that are named one by one.
const NAMED: usize = 8;

/// Opens a model folder.
pub fn open(folder: &Path, options: &Options) -> Result<Source, ImportError> {
    let config_path = folder.join("config.json");
    let wrong = |reason: String| ImportError::at(&config_path, reason);
    let config: Config = json::read(&config_path)?;
    // Refused before the weights are looked for: the reason is better.
    config.task(false).map_err(wrong)?;
    config.check_supported().map_err(wrong)?;
    let tensors = SafeTensors::open(&weights(folder)?)?;
    let classifier = tensors.shape("classifier.weight");
    let head = match config.task(classifier.is_some()).map_err(wrong)? {
        Task::Classification => classifier_head(&config, classifier).map_err(wrong)?,
        Task::Encoding => sentence::encoder_head(folder, options.pooling)?,
    };
    if options.pooling.is_some() && matches!(head, Head::Classifier { .. }) {
        return Err(ImportError::Option {
            name: "pooling",
            reason: "is for encoders; this is a cross-encoder".into(),
        });
    }
    let (tokenizer, limit) = tokenizer::read(folder)?;
    if tokenizer.vocab_size() > config.vocab_size() {
        return Err(wrong(format!(
            "vocab_size is {}, but the tokenizer has {} pieces",
            config.vocab_size(),
            tokenizer.vocab_size()
        )));
    }
    let config = model_config(&config, head, options.max_length.or(limit)).map_err(wrong)?;
    check_max_length(&config, options)?;
    Ok(Source {
        kind: Kind::Huggingface,
        notes: unknown_tensors(&tensors, &config).into_iter().collect(),
        config,
        tokenizer,
        tensors: Box::new(tensors),
    })
}

/// The weights file; what else may lie there is named.
fn weights(folder: &Path) -> Result<PathBuf, ImportError> {
    let path = folder.join("model.safetensors");
    if path.is_file() {
        return Ok(path);
    }
    let others = [
        (
            "model.safetensors.index.json",
            "weights in several files are not supported; save them as one",
        ),
        (
            "pytorch_model.bin",
            "a pickle can run code when it is read; save the model as model.safetensors",
        ),
        (
            "tf_model.h5",
            "TensorFlow weights are not supported; save the model as model.safetensors",
        ),
        (
            "onnx/model.onnx",
            "ONNX is not supported; save the model as model.safetensors",
        ),
        (
            "model.onnx",
            "ONNX is not supported; save the model as model.safetensors",
        ),
    ];
    let found = others.iter().find(|(name, _)| folder.join(name).exists());
    Err(match found {
        Some((name, reason)) => ImportError::at(folder.join(name), reason),
        None => ImportError::at(folder, "no model.safetensors in this folder"),
    })
}

fn classifier_head(config: &Config, classifier: Option<Vec<usize>>) -> Result<Head, String> {
    let rows = classifier.and_then(|shape| shape.first().copied());
    let rows = rows.ok_or("BertForSequenceClassification without a tensor classifier.weight")?;
    match config.labels() {
        Some(labels) if labels != rows => Err(format!(
            "{labels} labels, but classifier.weight has {rows} rows"
        )),
        _ if !(1..=2).contains(&rows) => Err(format!(
            "{rows} labels; lanerank scores 1 (relevance) or 2 (not relevant, relevant)"
        )),
        _ => Ok(Head::Classifier { num_labels: rows }),
    }
}

fn model_config(
    config: &Config,
    head: Head,
    max_length: Option<usize>,
) -> Result<ModelConfig, String> {
    let model = config.model_config(head, max_length)?;
    model
        .validate()
        .map_err(|(name, reason)| format!("{name}: {reason}"))?;
    Ok(model)
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

/// A note on tensors that no part of the model asks for.
fn unknown_tensors(tensors: &SafeTensors, config: &ModelConfig) -> Option<String> {
    let unknown =
        |name: &&str| !names::is_buffer(name) && !names::is_bert(name, config.num_hidden_layers);
    let unknown: Vec<&str> = tensors.names().filter(unknown).collect();
    if unknown.is_empty() {
        return None;
    }
    let mut list = unknown[..unknown.len().min(NAMED)].join(", ");
    if unknown.len() > NAMED {
        list.push_str(&format!(" and {} more", unknown.len() - NAMED));
    }
    Some(format!(
        "tensors that BERT does not have were left out: {list}"
    ))
}
