//! Model folders in Hugging Face's layout.

mod config;
mod json;
mod names;
mod refusals;
mod safetensors;
mod sentence;
mod tokenizer;
mod tokenizer_json;
mod tokenizer_settings;

use std::path::Path;

use lanerank::Tokenizer;
use lanerank::format::source::TensorSource;
use lanerank::model::{Head, ModelConfig, Pooling};

pub use safetensors::SafeTensors;
pub use tokenizer::{from_tokenizer_json, from_vocab_txt};

use crate::failure::{Failure, Place};
use config::{Config, Task};

/// What the folder may leave open or the user may overrule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// How an encoder pools.
    pub pooling: Option<Pooling>,
    /// Longest sequence by default.
    pub max_length: Option<usize>,
}

/// A model folder, read and found fit for conversion.
pub struct Source {
    /// Shape and rules.
    pub config: ModelConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The weights, still on disk.
    pub tensors: SafeTensors,
    /// Tensors that no part of the model asks for.
    pub unknown: Vec<String>,
}

/// Opens a model folder.
///
/// # Errors
/// When a file is missing or wrong, or the model is of a kind that lanerank does not run.
pub fn open(folder: &Path, choices: &Choices) -> Result<Source, Failure> {
    let config_path = folder.join("config.json");
    let wrong = |reason: String| Failure::input(&Place::file(&config_path), reason);
    let config: Config = json::read(&config_path)?;
    // Refused before the weights are looked for: the reason is better.
    config.task(false).map_err(wrong)?;
    config.check_supported().map_err(wrong)?;
    let tensors = SafeTensors::open(&weights(folder)?)?;
    let classifier = tensors.shape("classifier.weight");
    let head = match config.task(classifier.is_some()).map_err(wrong)? {
        Task::Classification => classifier_head(&config, classifier).map_err(wrong)?,
        Task::Encoding => sentence::encoder_head(folder, choices.pooling)?,
    };
    if choices.pooling.is_some() && matches!(head, Head::Classifier { .. }) {
        return Err(Failure::Usage(
            "--pooling is for encoders; this is a cross-encoder".into(),
        ));
    }
    let (tokenizer, limit) = tokenizer::read(folder)?;
    if tokenizer.vocab_size() > config.vocab_size() {
        return Err(wrong(format!(
            "vocab_size is {}, but the tokenizer has {} pieces",
            config.vocab_size(),
            tokenizer.vocab_size()
        )));
    }
    let config = model_config(&config, head, choices, limit).map_err(wrong)?;
    Ok(Source {
        unknown: unknown_tensors(&tensors, &config),
        config,
        tokenizer,
        tensors,
    })
}

/// The weights file; what else may lie there is named.
fn weights(folder: &Path) -> Result<std::path::PathBuf, Failure> {
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
        Some((name, reason)) => Failure::input(&Place::file(&folder.join(name)), reason),
        None => Failure::input(&Place::file(folder), "no model.safetensors in this folder"),
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
    choices: &Choices,
    limit: Option<usize>,
) -> Result<ModelConfig, String> {
    let model = config.model_config(head, choices.max_length.or(limit))?;
    if choices
        .max_length
        .is_some_and(|length| length > model.max_length)
    {
        let positions = model.max_position_embeddings;
        return Err(format!("--max-length: the model has {positions} positions"));
    }
    model
        .validate()
        .map_err(|(name, reason)| format!("{name}: {reason}"))?;
    Ok(model)
}

fn unknown_tensors(tensors: &SafeTensors, config: &ModelConfig) -> Vec<String> {
    let unknown =
        |name: &&str| !names::is_buffer(name) && !names::is_bert(name, config.num_hidden_layers);
    tensors.names().filter(unknown).map(str::to_owned).collect()
}
