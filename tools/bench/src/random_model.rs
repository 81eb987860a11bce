//! Models of any shape with seeded random weights: speed does not depend on the weights.

use std::collections::HashMap;

use lanerank::format::storage::AlignedBytes;
use lanerank::model::architectures::schema;
use lanerank::model::{Activation, Architecture, Head, ModelConfig};
use lanerank::{Model, Tokenizer};
use lanerank_convert::convert::{ConvertOptions, convert};
use lanerank_convert::{Error, TensorSource};

/// A cross-encoder of BERT's proportions, as the published rerankers are.
pub fn cross_encoder(layers: usize, hidden: usize, heads: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        intermediate_size: 4 * hidden,
        vocab_size: 30522,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        hidden_act: Activation::Gelu,
        layer_norm_eps: 1e-12,
        head: Head::Classifier { num_labels: 1 },
        max_length: 512,
    }
}

/// Makes a model.
///
/// # Errors
/// When there is no such model.
pub fn model(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    options: &ConvertOptions,
) -> Result<Model, Error> {
    Ok(Model::from_bytes(&file(config, tokenizer, options)?)?)
}

/// Makes a model file.
///
/// # Errors
/// When there is no such model.
pub fn file(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    options: &ConvertOptions,
) -> Result<AlignedBytes, Error> {
    let mut weights = RandomWeights {
        shapes: schema(config).tensors().collect(),
        hidden_size: config.hidden_size,
    };
    convert(config, tokenizer, &mut weights, options, &mut |_, _| {})
}

struct RandomWeights {
    shapes: HashMap<String, Vec<usize>>,
    hidden_size: usize,
}

impl TensorSource for RandomWeights {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shapes.get(name).cloned()
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let shape = self.shape(name).unwrap_or_default();
        let (mean, spread) = match name {
            _ if name.ends_with("LayerNorm.weight") => (1.0, 0.2),
            _ if shape.len() == 1 => (0.0, 0.1),
            _ => (0.0, 2.0 / (self.hidden_size as f32).sqrt()),
        };
        let mut state = name
            .bytes()
            .fold(1_u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
        let mut uniform = || {
            // A linear congruential generator; its upper bits are random enough here.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let len = shape.iter().product();
        Ok((0..len).map(|_| mean + spread * uniform()).collect())
    }
}
