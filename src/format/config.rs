//! The `config` section: a [`ModelConfig`] and its [`Activations`] in 64 bytes.

use bytemuck::{Pod, Zeroable};

use crate::config::{Activation, Activations, Architecture, Head, ModelConfig, Pooling};
use crate::error::Error;

/// Bytes of the section.
pub const CONFIG_LEN: usize = size_of::<Record>();

/// The section's fields, in order.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Record {
    architecture: u32,
    hidden_size: u32,
    num_hidden_layers: u32,
    num_attention_heads: u32,
    intermediate_size: u32,
    vocab_size: u32,
    max_position_embeddings: u32,
    type_vocab_size: u32,
    hidden_act: u32,
    layer_norm_eps: f32,
    head: u32,
    num_labels: u32,
    normalize: u32,
    max_length: u32,
    activations: u32,
    /// 0 for BERT and XLM-RoBERTa.
    embedding_size: u32,
}

/// Values of `architecture`.
const BERT: u32 = 0;
const ELECTRA: u32 = 1;
const XLM_ROBERTA: u32 = 2;

/// Values of `hidden_act`, by code.
const ACTIVATIONS: [Activation; 3] = [Activation::Gelu, Activation::GeluTanh, Activation::Relu];

/// Values of `head`.
const HEAD_CLASSIFIER: u32 = 0;
const HEAD_MEAN: u32 = 1;
const HEAD_CLS: u32 = 2;

/// The section's bytes.
pub fn to_bytes(config: &ModelConfig, activations: Activations) -> [u8; CONFIG_LEN] {
    let activation = ACTIVATIONS.iter().position(|&a| a == config.hidden_act);
    let (head, num_labels, normalize) = match config.head {
        Head::Classifier { num_labels } => (HEAD_CLASSIFIER, num_labels, false),
        Head::Encoder { pooling, normalize } => {
            let head = match pooling {
                Pooling::Mean => HEAD_MEAN,
                Pooling::Cls => HEAD_CLS,
            };
            (head, 0, normalize)
        }
    };
    let (architecture, embedding_size) = match config.architecture {
        Architecture::Bert => (BERT, 0),
        Architecture::Electra { embedding_size } => (ELECTRA, embedding_size),
        Architecture::XlmRoberta => (XLM_ROBERTA, 0),
    };
    bytemuck::cast(Record {
        architecture,
        hidden_size: config.hidden_size as u32,
        num_hidden_layers: config.num_hidden_layers as u32,
        num_attention_heads: config.num_attention_heads as u32,
        intermediate_size: config.intermediate_size as u32,
        vocab_size: config.vocab_size as u32,
        max_position_embeddings: config.max_position_embeddings as u32,
        type_vocab_size: config.type_vocab_size as u32,
        hidden_act: activation.unwrap_or(ACTIVATIONS.len()) as u32,
        layer_norm_eps: config.layer_norm_eps,
        head,
        num_labels: num_labels as u32,
        normalize: normalize.into(),
        max_length: config.max_length as u32,
        activations: activations.to_bits(),
        embedding_size: embedding_size as u32,
    })
}

/// Reads the section and checks that its values make a model.
///
/// # Errors
/// Names the field that is wrong.
pub fn parse(bytes: &[u8]) -> Result<(ModelConfig, Activations), Error> {
    if bytes.len() != CONFIG_LEN {
        let reason = format!("{} bytes, not {CONFIG_LEN}", bytes.len());
        return Err(Error::format("config", reason));
    }
    let record: Record = bytemuck::pod_read_unaligned(bytes);
    let activations = Activations::from_bits(record.activations).ok_or_else(|| {
        let reason = format!("unknown bits {:#x}", record.activations);
        Error::format("config.activations", reason)
    })?;
    let config = ModelConfig {
        architecture: record.architecture()?,
        hidden_size: record.hidden_size as usize,
        num_hidden_layers: record.num_hidden_layers as usize,
        num_attention_heads: record.num_attention_heads as usize,
        intermediate_size: record.intermediate_size as usize,
        vocab_size: record.vocab_size as usize,
        max_position_embeddings: record.max_position_embeddings as usize,
        type_vocab_size: record.type_vocab_size as usize,
        hidden_act: *ACTIVATIONS
            .get(record.hidden_act as usize)
            .ok_or_else(|| unknown_code("hidden_act", record.hidden_act))?,
        layer_norm_eps: record.layer_norm_eps,
        head: record.head()?,
        max_length: record.max_length as usize,
    };
    config
        .validate()
        .map_err(|(name, reason)| Error::format(format!("config.{name}"), reason))?;
    Ok((config, activations))
}

impl Record {
    fn architecture(&self) -> Result<Architecture, Error> {
        match self.architecture {
            BERT | XLM_ROBERTA if self.embedding_size != 0 => {
                let reason = "this architecture's embeddings have the width of its layers";
                Err(Error::format("config.embedding_size", reason))
            }
            BERT => Ok(Architecture::Bert),
            XLM_ROBERTA => Ok(Architecture::XlmRoberta),
            ELECTRA => Ok(Architecture::Electra {
                embedding_size: self.embedding_size as usize,
            }),
            code => Err(unknown_code("architecture", code)),
        }
    }

    fn head(&self) -> Result<Head, Error> {
        let normalize = self.normalize;
        if normalize > 1 {
            let reason = format!("{normalize} is not 0 or 1");
            return Err(Error::format("config.normalize", reason));
        }
        let pooling = match self.head {
            HEAD_CLASSIFIER if normalize == 0 => {
                return Ok(Head::Classifier {
                    num_labels: self.num_labels as usize,
                });
            }
            HEAD_MEAN => Pooling::Mean,
            HEAD_CLS => Pooling::Cls,
            code => return Err(unknown_code("head", code)),
        };
        if self.num_labels != 0 {
            let reason = "an encoder has none";
            return Err(Error::format("config.num_labels", reason));
        }
        Ok(Head::Encoder {
            pooling,
            normalize: normalize == 1,
        })
    }
}

fn unknown_code(field: &str, code: u32) -> Error {
    Error::format(format!("config.{field}"), format!("unknown code {code}"))
}
