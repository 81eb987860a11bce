//! Models of any shape, with seeded random weights: time does not depend on what the weights are.

use lanerank::model::{Head, ModelConfig};
use lanerank::{Model, Tokenizer};
use lanerank_convert::Error;
use lanerank_convert::TensorSource;
use lanerank_convert::convert::{ConvertOptions, convert};

/// Makes one.
///
/// # Errors
/// When there is no such model.
pub fn make(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    options: &ConvertOptions,
) -> Result<Model, Error> {
    let mut weights = RandomWeights(config);
    let file = convert(config, tokenizer, &mut weights, options, &mut |_, _| {})?;
    Ok(Model::from_bytes(&file)?)
}

struct RandomWeights<'a>(&'a ModelConfig);

impl RandomWeights<'_> {
    /// Outputs and inputs of a matrix or table.
    fn matrix(&self, name: &str) -> Option<[usize; 2]> {
        let config = self.0;
        let (h, inner) = (config.hidden_size, config.intermediate_size);
        Some(match name {
            "embeddings.word_embeddings" => [config.vocab_size, h],
            "embeddings.position_embeddings" => [config.max_position_embeddings, h],
            "embeddings.token_type_embeddings" => [config.type_vocab_size, h],
            "pooler.dense" => [h, h],
            "classifier" => match config.head {
                Head::Classifier { num_labels } => [num_labels, h],
                Head::Encoder { .. } => return None,
            },
            _ => {
                let (layer, part) = name.strip_prefix("encoder.layer.")?.split_once('.')?;
                if layer.parse::<usize>().ok()? >= config.num_hidden_layers {
                    return None;
                }
                match part {
                    "attention.self.query"
                    | "attention.self.key"
                    | "attention.self.value"
                    | "attention.output.dense" => [h, h],
                    "intermediate.dense" => [inner, h],
                    "output.dense" => [h, inner],
                    _ => return None,
                }
            }
        })
    }
}

impl TensorSource for RandomWeights<'_> {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (layer, tensor) = name.rsplit_once('.')?;
        if layer.ends_with("LayerNorm") {
            return Some(vec![self.0.hidden_size]);
        }
        let matrix = self.matrix(layer)?;
        match tensor {
            "weight" => Some(matrix.into()),
            "bias" => Some(vec![matrix[0]]),
            _ => None,
        }
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let shape = self.shape(name).unwrap_or_default();
        let (mean, spread) = match name {
            _ if name.ends_with("LayerNorm.weight") => (1.0, 0.2),
            _ if shape.len() == 1 => (0.0, 0.1),
            _ => (0.0, 2.0 / (self.0.hidden_size as f32).sqrt()),
        };
        let mut state = name
            .bytes()
            .fold(1_u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
        let mut uniform = || {
            // A linear congruential generator, of which the upper bits are good enough.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let len = shape.iter().product();
        Ok((0..len).map(|_| mean + spread * uniform()).collect())
    }
}
