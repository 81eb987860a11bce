//! GGUF files of BERT models, as written by llama.cpp's converter.

mod reader;
mod vocabulary;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lanerank::Tokenizer;
use lanerank::model::{Activation, Architecture, Head, ModelConfig, Pooling};

use super::error::ImportError;
use super::files::Opened;
use super::labels::{self, Order};
use super::{Kind, Options, Source, names, refusals};
use crate::error::Error;
use crate::source::TensorSource;
use reader::{Reader, Value};

/// llama.cpp's numbers of pooling methods.
const MEAN: i64 = 1;
const CLS: i64 = 2;
const RANK: i64 = 4;

/// Opens a GGUF file, which is a whole model.
///
/// # Errors
/// If the file is wrong, or its model is not supported.
pub(crate) fn open(file: Opened, options: &Options) -> Result<Source, ImportError> {
    let path = file.path.clone();
    let wrong = |reason: String| ImportError::at(&path, reason);
    let reader = Reader::open(file).map_err(wrong)?;
    check_architecture(&reader).map_err(wrong)?;
    let (pieces, rules) = vocabulary::read(&reader.metadata).map_err(wrong)?;
    let tokenizer = Tokenizer::from_pieces(&pieces, &rules);
    let tokenizer = tokenizer.map_err(|e| ImportError::library(&path, e))?;
    let head = match classifier(&reader).map_err(wrong)? {
        Some(num_labels) => Head::Classifier { num_labels },
        None => encoder(&reader, options.pooling, &path)?,
    };
    let order = order(&reader, &head).map_err(wrong)?;
    super::check_pooling(options, &head)?;
    let config = config(&reader, head, options.max_length).map_err(wrong)?;
    super::check_max_length(&config, options)?;
    if tokenizer.vocab_size() > config.vocab_size {
        let pieces = tokenizer.vocab_size();
        return Err(wrong(format!(
            "{pieces} pieces for {} embeddings",
            config.vocab_size
        )));
    }
    let known = known(&config);
    let unknown = reader.tensors.keys().find(|name| !known.contains(*name));
    if let Some(name) = unknown {
        return Err(wrong(format!(
            "tensor {name:?} is not one of BERT's: another architecture"
        )));
    }
    let mut notes = vec![format!(
        "GGUF says neither which GELU nor how text is normalised: erf and {} text, as the \
         vocabulary has it",
        if rules.lowercase { "uncased" } else { "cased" }
    )];
    notes.extend(order.and_then(Order::note).map(str::to_owned));
    Ok(Source {
        kind: Kind::Gguf,
        config,
        tokenizer,
        notes,
        graph_difference: None,
        tensors: Box::new(Gguf {
            path,
            reader,
            exchanged: order == Some(Order::Reversed),
        }),
    })
}

fn check_architecture(reader: &Reader) -> Result<(), String> {
    match reader.metadata.get("general.architecture") {
        Some(Value::Text(name)) if name == "bert" => {}
        Some(Value::Text(name)) => return Err(refusals::model_type(name)),
        _ => return Err("general.architecture: missing".into()),
    }
    match reader.metadata.get("bert.attention.causal") {
        Some(Value::Bool(true)) => Err("bert.attention.causal: decoders are not supported".into()),
        _ => Ok(()),
    }
}

/// The number of labels, if the file is a cross-encoder's.
fn classifier(reader: &Reader) -> Result<Option<usize>, String> {
    let shape = |name: &str| reader.tensors.get(name).map(|tensor| &tensor.shape[..]);
    let ranks = reader.metadata.get("bert.pooling_type") == Some(&Value::Int(RANK));
    let has_head = reader.tensors.keys().any(|name| name.starts_with("cls."));
    match (shape("cls.weight"), shape("cls.output.weight")) {
        (Some(&[n, k]), Some(&[labels, width])) if n == k && width == k => match labels {
            1 | 2 => Ok(Some(labels)),
            _ => Err(format!("{labels} labels; lanerank scores 1 or 2")),
        },
        _ if ranks || has_head => Err(
            "a cross-encoder without its pooler (llama.cpp's converter leaves it out), so that its \
             scores would be wrong; use the model's safetensors or ONNX file"
                .into(),
        ),
        _ => Ok(None),
    }
}

/// What the names of two labels say; `None` for other heads, or without names.
fn order(reader: &Reader, head: &Head) -> Result<Option<Order>, String> {
    const LABELS: &str = "bert.classifier.output_labels";
    let wrong = |reason: String| format!("{LABELS}: {reason}");
    match (head, reader.metadata.get(LABELS)) {
        (_, None) | (Head::Encoder { .. }, _) => Ok(None),
        (&Head::Classifier { num_labels }, Some(Value::Texts(names)))
            if names.len() == num_labels =>
        {
            match &names[..] {
                [first, second] => {
                    let [first, second] = [first, second].map(|name| name.as_str().into());
                    labels::order(&first, &second).map(Some).map_err(wrong)
                }
                _ => Ok(None),
            }
        }
        (&Head::Classifier { num_labels }, Some(Value::Texts(names))) => Err(wrong(format!(
            "{} names, but cls.output.weight has {num_labels} rows",
            names.len()
        ))),
        _ => Err(wrong("not a list of names".into())),
    }
}

fn encoder(reader: &Reader, choice: Option<Pooling>, path: &Path) -> Result<Head, ImportError> {
    let pooling = match (choice, reader.metadata.get("bert.pooling_type")) {
        (Some(choice), _) => choice,
        (None, Some(&Value::Int(MEAN))) => Pooling::Mean,
        (None, Some(&Value::Int(CLS))) => Pooling::Cls,
        (None, other) => {
            let other = other.map_or("missing".into(), |value| format!("{value:?}"));
            return Err(ImportError::at(
                path,
                format!("bert.pooling_type: {other}; say --pooling mean or --pooling cls"),
            ));
        }
    };
    // The format does not say. llama.cpp scales its output.
    Ok(Head::Encoder {
        pooling,
        normalize: true,
    })
}

fn config(reader: &Reader, head: Head, max_length: Option<usize>) -> Result<ModelConfig, String> {
    let number = |name: &str| match reader.metadata.get(&format!("bert.{name}")) {
        Some(&Value::Int(n)) => usize::try_from(n).map_err(|_| format!("bert.{name}: {n}")),
        _ => Err(format!("bert.{name}: missing")),
    };
    let rows = |name: &str| match reader.tensors.get(name).map(|tensor| &tensor.shape[..]) {
        Some(&[rows, _]) => Ok(rows),
        Some(&[_]) => Ok(1),
        _ => Err(format!("tensor {name:?}: missing or no table")),
    };
    let layer_norm_eps = match reader.metadata.get("bert.attention.layer_norm_epsilon") {
        Some(&Value::Float(eps)) => eps as f32,
        _ => return Err("bert.attention.layer_norm_epsilon: missing".into()),
    };
    let positions = rows("position_embd.weight")?;
    let context = number("context_length")?;
    let config = ModelConfig {
        architecture: Architecture::Bert,
        hidden_size: number("embedding_length")?,
        num_hidden_layers: number("block_count")?,
        num_attention_heads: number("attention.head_count")?,
        intermediate_size: number("feed_forward_length")?,
        vocab_size: rows("token_embd.weight")?,
        max_position_embeddings: positions,
        type_vocab_size: rows("token_types.weight")?,
        // Architecture "bert" implies it; models with another activation have another name.
        hidden_act: Activation::Gelu,
        layer_norm_eps,
        head,
        max_length: max_length.unwrap_or(context).min(positions),
    };
    config
        .validate()
        .map_err(|(name, reason)| format!("{name}: {reason}"))?;
    Ok(config)
}

/// Names of tensors: the schema's and the file's. `.N.` stands for the number of the layer.
const NAMES: [(&str, &str); 14] = [
    ("embeddings.word_embeddings", "token_embd"),
    ("embeddings.position_embeddings", "position_embd"),
    ("embeddings.token_type_embeddings", "token_types"),
    ("embeddings.LayerNorm", "token_embd_norm"),
    ("encoder.layer.N.attention.self.query", "blk.N.attn_q"),
    ("encoder.layer.N.attention.self.key", "blk.N.attn_k"),
    ("encoder.layer.N.attention.self.value", "blk.N.attn_v"),
    (
        "encoder.layer.N.attention.output.dense",
        "blk.N.attn_output",
    ),
    (
        "encoder.layer.N.attention.output.LayerNorm",
        "blk.N.attn_output_norm",
    ),
    ("encoder.layer.N.intermediate.dense", "blk.N.ffn_up"),
    ("encoder.layer.N.output.dense", "blk.N.ffn_down"),
    (
        "encoder.layer.N.output.LayerNorm",
        "blk.N.layer_output_norm",
    ),
    ("pooler.dense", "cls"),
    ("classifier", "cls.output"),
];

/// The file's name of a tensor of the schema.
fn their_name(name: &str) -> Option<String> {
    let (stem, part) = name.rsplit_once('.')?;
    let layer = stem.split('.').find(|part| part.parse::<usize>().is_ok());
    let number = format!(".{}.", layer.unwrap_or("N"));
    let general = stem.replace(&number, ".N.");
    let (_, theirs) = NAMES.iter().find(|(ours, _)| *ours == general)?;
    Some(format!("{}.{part}", theirs.replace(".N.", &number)))
}

/// The file's names of all tensors that a BERT of this shape can have.
fn known(config: &ModelConfig) -> HashSet<String> {
    let names = names::of_model(config);
    names.iter().filter_map(|name| their_name(name)).collect()
}

/// The tensors of a GGUF file under the schema's names.
struct Gguf {
    path: PathBuf,
    reader: Reader,
    /// The two labels change places.
    exchanged: bool,
}

impl TensorSource for Gguf {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let tensor = self.reader.tensors.get(&their_name(name)?)?;
        Some(match tensor.shape[..] {
            // A table of one row.
            [width] if name.ends_with("embeddings.weight") => vec![1, width],
            _ => tensor.shape.clone(),
        })
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let read = their_name(name).and_then(|theirs| self.reader.read(&theirs));
        match read {
            Some(read) => {
                let mut values = read.map_err(|source| Error::Io {
                    path: self.path.clone(),
                    source,
                })?;
                if self.exchanged && name.starts_with("classifier.") {
                    let half = values.len() / 2;
                    values.rotate_left(half);
                }
                Ok(values)
            }
            None => Err(Error::Tensor {
                name: name.to_owned(),
                reason: "missing".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_schema_s() {
        let config = ModelConfig {
            architecture: Architecture::Bert,
            hidden_size: 4,
            num_hidden_layers: 4,
            num_attention_heads: 2,
            intermediate_size: 8,
            vocab_size: 9,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            head: Head::Classifier { num_labels: 1 },
            max_length: 16,
        };
        let known = known(&config);
        assert_eq!(known.len(), names::of_model(&config).len());
        for (ours, theirs) in [
            (
                "encoder.layer.3.attention.self.query.weight",
                "blk.3.attn_q.weight",
            ),
            (
                "encoder.layer.0.output.LayerNorm.bias",
                "blk.0.layer_output_norm.bias",
            ),
            ("embeddings.LayerNorm.weight", "token_embd_norm.weight"),
            ("classifier.weight", "cls.output.weight"),
        ] {
            assert_eq!(their_name(ours).as_deref(), Some(theirs));
            assert!(known.contains(theirs));
        }
        for name in [
            "blk.4.attn_q.weight",
            "blk.0.attn_qkv.weight",
            "rope_freqs.weight",
            "",
            "cls",
        ] {
            assert!(!known.contains(name), "{name}");
        }
        assert_eq!(their_name("encoder.layer.0.x.weight"), None);
    }
}
