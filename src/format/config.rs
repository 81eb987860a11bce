//! The `config` section: a [`ModelConfig`] and its [`Activations`] as 64 bytes.

use byteorder::{ByteOrder, LittleEndian as Le};

use super::header::field;
use crate::Error;
use crate::model::{Activation, Activations, Head, ModelConfig, Pooling};

/// Bytes of the section.
pub const CONFIG_LEN: usize = 64;

const ARCHITECTURE_BERT: u32 = 0;
const ACTIVATIONS: [Activation; 3] = [Activation::Gelu, Activation::GeluTanh, Activation::Relu];

/// The section's bytes.
pub fn to_bytes(config: &ModelConfig, activations: Activations) -> [u8; CONFIG_LEN] {
    let activation = ACTIVATIONS.iter().position(|&a| a == config.hidden_act);
    let (head, num_labels, normalize) = match config.head {
        Head::Classifier { num_labels } => (0, num_labels, false),
        Head::Encoder { pooling, normalize } => {
            let pooling = match pooling {
                Pooling::Mean => 1,
                Pooling::Cls => 2,
            };
            (pooling, 0, normalize)
        }
    };
    let fields = [
        ARCHITECTURE_BERT,
        config.hidden_size as u32,
        config.num_hidden_layers as u32,
        config.num_attention_heads as u32,
        config.intermediate_size as u32,
        config.vocab_size as u32,
        config.max_position_embeddings as u32,
        config.type_vocab_size as u32,
        activation.unwrap_or(ACTIVATIONS.len()) as u32,
        config.layer_norm_eps.to_bits(),
        head,
        num_labels as u32,
        normalize.into(),
        config.max_length as u32,
        activations.to_bits(),
    ];
    let mut bytes = [0; CONFIG_LEN];
    Le::write_u32_into(&fields, &mut bytes[..4 * fields.len()]);
    bytes
}

/// Reads the section and checks that its values make a model.
///
/// # Errors
/// Names the field that is wrong.
pub fn parse(bytes: &[u8]) -> Result<(ModelConfig, Activations), Error> {
    if bytes.len() != CONFIG_LEN {
        return Err(field("config", format!("{} bytes, not 64", bytes.len())));
    }
    let mut fields = [0; 16];
    Le::read_u32_into(bytes, &mut fields);
    if fields[0] != ARCHITECTURE_BERT {
        return Err(field(
            "config.architecture",
            format!("unknown code {}", fields[0]),
        ));
    }
    let activations = Activations::from_bits(fields[14]).ok_or_else(|| {
        field(
            "config.activations",
            format!("unknown bits {:#x}", fields[14]),
        )
    })?;
    if fields[15] != 0 {
        return Err(field("config.reserved", "not zero"));
    }
    let size = |i: usize| fields[i] as usize;
    let config = ModelConfig {
        hidden_size: size(1),
        num_hidden_layers: size(2),
        num_attention_heads: size(3),
        intermediate_size: size(4),
        vocab_size: size(5),
        max_position_embeddings: size(6),
        type_vocab_size: size(7),
        hidden_act: *ACTIVATIONS
            .get(size(8))
            .ok_or_else(|| field("config.hidden_act", format!("unknown code {}", fields[8])))?,
        layer_norm_eps: f32::from_bits(fields[9]),
        head: parse_head(fields[10], fields[11], fields[12])?,
        max_length: size(13),
    };
    config
        .validate()
        .map_err(|(name, reason)| field(format!("config.{name}"), reason))?;
    Ok((config, activations))
}

fn parse_head(kind: u32, num_labels: u32, normalize: u32) -> Result<Head, Error> {
    if normalize > 1 {
        return Err(field(
            "config.normalize",
            format!("{normalize} is not 0 or 1"),
        ));
    }
    let pooling = match kind {
        0 if normalize == 0 => {
            return Ok(Head::Classifier {
                num_labels: num_labels as usize,
            });
        }
        1 => Pooling::Mean,
        2 => Pooling::Cls,
        _ => return Err(field("config.head", format!("unknown code {kind}"))),
    };
    if num_labels != 0 {
        return Err(field("config.num_labels", "an encoder has none"));
    }
    Ok(Head::Encoder {
        pooling,
        normalize: normalize == 1,
    })
}
