//! Model folders in Hugging Face's layout.

mod added_tokens;
mod adjusted;
mod config;
mod prompts;
mod sentence;
mod special_tokens;
mod token_list;
mod tokenizer;
mod tokenizer_json;
mod tokenizer_keys;
mod tokenizer_settings;
mod unigram_json;

use lanerank::model::{Architecture, Head, ModelConfig};
use lanerank::tokenizer::TokenizerKind;

use super::error::ImportError;
use super::files::Files;
use super::labels::Order;
use super::names;
#[cfg(feature = "onnx")]
use super::onnx;
use super::options::{Kind, Options, check_max_length, check_pooling};
use super::pytorch::PyTorch;
use super::refusals;
use super::safetensors::SafeTensors;
use super::shards::Shards;
use super::source::Source;
use super::weights::Weights;

pub use tokenizer::{tokenizer_json, vocab_txt};

use adjusted::Adjusted;
use config::{Config, Task};
use tokenizer::Read;

/// Most unknown tensors that a note lists.
const NAMED: usize = 8;

/// Opens a model folder with the weights in this file.
pub(super) fn open(
    files: &Files,
    kind: Kind,
    weights: &str,
    options: &Options,
) -> Result<Source, ImportError> {
    let wrong = |reason: String| ImportError::at(files.path("config.json"), reason);
    let config: Config = files.read_json("config.json")?;
    // Checked before the weights, because the message is better.
    let pooled = options.pooling.is_some() || sentence::is_there(files);
    config.task(false, pooled).map_err(wrong)?;
    config.check_supported().map_err(wrong)?;
    let architecture = config.architecture();
    if kind == Kind::Onnx && architecture != Architecture::Bert {
        let name = match architecture {
            Architecture::XlmRoberta => "XLM-RoBERTa",
            _ => "ELECTRA",
        };
        return Err(wrong(format!(
            "{name} is not read from ONNX files; use the model's safetensors or pytorch_model.bin"
        )));
    }
    let mut tensors = open_weights(files, kind, weights)?;
    let classifier_name = match architecture {
        Architecture::Electra { .. } | Architecture::XlmRoberta => "classifier.out_proj.weight",
        _ => "classifier.weight",
    };
    let classifier = tensors.shape(classifier_name);
    let task = config.task(classifier.is_some(), pooled).map_err(wrong)?;
    let (prompts, unused) = prompts::read(files, matches!(task, Task::Encoding))?;
    let head = match task {
        Task::Classification if kind == Kind::Onnx && classifier.is_none() => {
            let reason = refusals::onnx_without_head();
            return Err(ImportError::at(files.path(weights), reason));
        }
        Task::Classification => {
            classifier_head(&config, classifier_name, classifier).map_err(wrong)?
        }
        Task::Encoding => sentence::encoder_head(files, options.pooling, &prompts)?,
    };
    check_pooling(options, &head)?;
    let order = match head {
        Head::Classifier { num_labels: 2 } => config.order().map_err(wrong)?,
        _ => None,
    };
    let Read {
        tokenizer,
        max_length: limit,
        one_type,
        note,
    } = tokenizer::read(files)?;
    let is_unigram = tokenizer.config().kind != TokenizerKind::WordPiece;
    if architecture == Architecture::XlmRoberta && !is_unigram {
        return Err(wrong(
            "XLM-RoBERTa with BERT's tokenizer is not supported".into(),
        ));
    }
    // A Unigram's frame has one type anyway.
    let one_type = one_type && !is_unigram;
    if tokenizer.vocab_size() > config.vocab_size() {
        return Err(wrong(format!(
            "vocab_size is {}, but the tokenizer has {} pieces",
            config.vocab_size(),
            tokenizer.vocab_size()
        )));
    }
    let mut config = model_config(&config, head, options.max_length.or(limit)).map_err(wrong)?;
    check_max_length(&config, options)?;
    let mut notes = tensors.adopt(&mut config)?;
    notes.extend(unknown_tensors(&*tensors, &config));
    notes.extend(note);
    notes.extend(unused);
    let graph_difference = tensors.verify(&config, &tokenizer)?;
    if one_type || order == Some(Order::Reversed) {
        let exchanged = classifier_name.strip_suffix(".weight");
        tensors = Box::new(Adjusted {
            inner: tensors,
            one_type,
            exchanged: exchanged.filter(|_| order == Some(Order::Reversed)),
        });
    }
    notes.extend(adjustments(one_type, order));
    Ok(Source {
        kind,
        notes,
        graph_difference,
        config,
        tokenizer: tokenizer.with_prompts(prompts),
        tensors,
    })
}

/// Notes on what the files say of token types and labels.
fn adjustments(one_type: bool, order: Option<Order>) -> Vec<String> {
    let mut notes = Vec::new();
    if one_type {
        notes.push("the tokenizer gives the model no token_type_ids: all token types are 0".into());
    }
    notes.extend(order.and_then(Order::note).map(str::to_owned));
    notes
}

/// Opens the weights of a folder with the reader of their format.
fn open_weights(files: &Files, kind: Kind, name: &str) -> Result<Box<dyn Weights>, ImportError> {
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

/// The head of a cross-encoder; `name` and `shape` are the last tensor's.
fn classifier_head(config: &Config, name: &str, shape: Option<Vec<usize>>) -> Result<Head, String> {
    let rows = shape.and_then(|shape| shape.first().copied());
    let rows = rows.ok_or_else(|| {
        let class = match config.architecture() {
            Architecture::Electra { .. } => "ElectraForSequenceClassification",
            Architecture::XlmRoberta => "XLMRobertaForSequenceClassification",
            _ => "BertForSequenceClassification",
        };
        format!("{class} without a tensor {name}")
    })?;
    match config.labels() {
        Some(labels) if labels != rows => {
            Err(format!("{labels} labels, but {name} has {rows} rows"))
        }
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

/// A note on tensors that the model does not have.
fn unknown_tensors(tensors: &dyn Weights, config: &ModelConfig) -> Option<String> {
    let known = names::of_model(config);
    let mut unknown = tensors.names();
    unknown.retain(|name| !names::is_buffer(name) && !known.contains(name));
    if unknown.is_empty() {
        return None;
    }
    let mut list = unknown[..unknown.len().min(NAMED)].join(", ");
    if unknown.len() > NAMED {
        list.push_str(&format!(" and {} more", unknown.len() - NAMED));
    }
    Some(format!(
        "tensors that {} does not have were ignored: {list}",
        if config.architecture == Architecture::XlmRoberta {
            "XLM-RoBERTa"
        } else {
            "BERT"
        }
    ))
}
