//! Models of any shape with seeded random weights, whose values do not affect time.

use std::collections::HashMap;

use lanerank::model::ModelConfig;
use lanerank::model::architectures::schema;
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
    let mut weights = RandomWeights {
        shapes: schema(config).tensors().collect(),
        hidden_size: config.hidden_size,
    };
    let file = convert(config, tokenizer, &mut weights, options, &mut |_, _| {})?;
    Ok(Model::from_bytes(&file)?)
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
            // A linear congruential generator, of which the upper bits are good enough.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let len = shape.iter().product();
        Ok((0..len).map(|_| mean + spread * uniform()).collect())
    }
}
