//! Model folders in Hugging Face's layout.

mod config;
mod sentence;
mod special_tokens;
mod tokenizer;
mod tokenizer_json;
mod tokenizer_settings;

use lanerank::model::{Head, ModelConfig};

use super::error::ImportError;
use super::files::Files;
use super::weights::{self, Weights};
use super::{Kind, Options, Source, names};

pub use tokenizer::{tokenizer_json, vocab_txt};

use config::{Config, Task};

/// Unknown tensors that are named one by one.
const NAMED: usize = 8;

/// Opens a model whose weights are in this file.
pub fn open(
    files: &Files,
    kind: Kind,
    weights: &str,
    options: &Options,
) -> Result<Source, ImportError> {
    let wrong = |reason: String| ImportError::at(files.path("config.json"), reason);
    let config: Config = files.read_json("config.json")?;
    // Refused before the weights are looked at: the reason is better.
    config.task(false).map_err(wrong)?;
    config.check_supported().map_err(wrong)?;
    let mut tensors = weights::open(files, kind, weights)?;
    let classifier = tensors.shape("classifier.weight");
    let head = match config.task(classifier.is_some()).map_err(wrong)? {
        Task::Classification => classifier_head(&config, classifier).map_err(wrong)?,
        Task::Encoding => sentence::encoder_head(files, options.pooling)?,
    };
    super::check_pooling(options, &head)?;
    let (tokenizer, limit) = tokenizer::read(files)?;
    if tokenizer.vocab_size() > config.vocab_size() {
        return Err(wrong(format!(
            "vocab_size is {}, but the tokenizer has {} pieces",
            config.vocab_size(),
            tokenizer.vocab_size()
        )));
    }
    let mut config = model_config(&config, head, options.max_length.or(limit)).map_err(wrong)?;
    super::check_max_length(&config, options)?;
    let mut notes = tensors.adopt(&mut config)?;
    notes.extend(unknown_tensors(&*tensors, &config));
    Ok(Source {
        kind,
        notes,
        graph_difference: tensors.verify(&config, &tokenizer)?,
        config,
        tokenizer,
        tensors,
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

/// A note on tensors that no part of the model asks for.
fn unknown_tensors(tensors: &dyn Weights, config: &ModelConfig) -> Option<String> {
    let mut unknown = tensors.names();
    unknown
        .retain(|name| !names::is_buffer(name) && !names::is_bert(name, config.num_hidden_layers));
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
