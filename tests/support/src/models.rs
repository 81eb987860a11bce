//! Small seeded models, made in memory.

use lanerank::model::architectures::schema;
use lanerank::model::{Activation, Architecture, Head, ModelConfig, Pooling};
use lanerank::tokenizer::TokenizerConfig;
use lanerank::{Model, Tokenizer};
use lanerank_convert::TensorSource;
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert};

use crate::random::Random;

/// Seeded weights of any shape; a few channels are far larger than the rest, as in trained models.
pub struct RandomSource {
    /// Names and shapes of the tensors.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Replaces the first value of this tensor.
    pub poison: Option<(&'static str, f32)>,
    /// Seed of the values.
    pub seed: u64,
}

impl TensorSource for RandomSource {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let found = self.shapes.iter().find(|(known, _)| known == name);
        found.map(|(_, shape)| shape.clone())
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, lanerank_convert::Error> {
        let shape = self.shape(name).expect("only asked for what exists");
        let hash = name
            .bytes()
            .fold(self.seed, |h, b| h.wrapping_mul(31) + u64::from(b));
        let mut random = Random::new(hash);
        let width = *shape.last().unwrap();
        let len: usize = shape.iter().product();
        let (mean, spread) = match name {
            _ if name.ends_with("LayerNorm.weight") => (0.9, 0.12),
            _ if name.ends_with("bias") => (0.0, 0.08),
            _ if name.contains("embeddings") => (0.0, 0.05),
            _ if name == "classifier.weight" => (0.0, 1.0),
            _ => (0.0, 1.5 / (width as f32).sqrt()),
        };
        let mut values: Vec<f32> = (0..len).map(|_| mean + spread * random.normal()).collect();
        if name.ends_with("LayerNorm.weight") {
            values[width / 3] *= 2.5;
        }
        if let Some((poisoned, value)) = self.poison
            && poisoned == name
        {
            values[0] = value;
        }
        Ok(values)
    }
}

/// Shape of a cross-encoder with this number of labels.
pub fn classifier(num_labels: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        hidden_size: 48,
        num_hidden_layers: 2,
        num_attention_heads: 3,
        intermediate_size: 80,
        vocab_size: VOCAB.len() + 3,
        max_position_embeddings: 40,
        type_vocab_size: 2,
        hidden_act: Activation::Gelu,
        layer_norm_eps: 1e-12,
        head: Head::Classifier { num_labels },
        max_length: 40,
    }
}

/// Shape of a cross-encoder with projected embeddings and another head.
pub fn electra(embedding_size: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Electra { embedding_size },
        ..classifier(1)
    }
}

/// Shape of a sentence encoder.
pub fn encoder(pooling: Pooling) -> ModelConfig {
    ModelConfig {
        head: Head::Encoder {
            pooling,
            normalize: true,
        },
        ..classifier(1)
    }
}

/// The models' vocabulary.
pub const VOCAB: [&str; 40] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "##a", "##b", "##c",
    "##d", "##e", "the", "bread", "fresh", "lamp", "light", "##house", "house", "keep", "##s",
    "box", "paper", "in", "is", "was", "on", ".", ",", "!", "?", "how", "to", "do", "i", "water",
    "stone",
];

/// Shape of an XLM-RoBERTa with one label.
pub fn xlm_roberta() -> ModelConfig {
    ModelConfig {
        architecture: Architecture::XlmRoberta,
        // The first token's is 2.
        max_position_embeddings: 42,
        ..classifier(1)
    }
}

/// The models' tokenizer.
pub fn tokenizer() -> Tokenizer {
    Tokenizer::from_pieces(&VOCAB, &TokenizerConfig::bert_uncased()).unwrap()
}

/// Weights for this shape.
pub fn source(config: &ModelConfig, seed: u64) -> RandomSource {
    RandomSource {
        shapes: schema(config).tensors().collect(),
        poison: None,
        seed,
    }
}

/// A model file.
pub fn file(config: &ModelConfig, dtype: WeightDtype, seed: u64) -> Vec<u8> {
    let options = ConvertOptions {
        dtype,
        metadata: vec![("source".into(), format!("seed {seed}"))],
        ..ConvertOptions::default()
    };
    let mut source = source(config, seed);
    let bytes = convert(config, &tokenizer(), &mut source, &options, &mut |_, _| {}).unwrap();
    bytes.to_vec()
}

/// A model.
pub fn model(config: &ModelConfig, dtype: WeightDtype) -> Model {
    Model::from_bytes(&file(config, dtype, 7)).unwrap()
}

/// An int8 model with this `ConvertOptions::activations`.
pub fn int8_model(config: &ModelConfig, activations: &str) -> Model {
    let options = ConvertOptions {
        activations: activations.parse().unwrap(),
        ..ConvertOptions::default()
    };
    let mut source = source(config, 7);
    let bytes = convert(config, &tokenizer(), &mut source, &options, &mut |_, _| {}).unwrap();
    Model::from_bytes(&bytes).unwrap()
}

/// Passages of many lengths, some longer than the model's maximum.
pub fn passages(count: usize, seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let words = &VOCAB[5..];
    (0..count)
        .map(|_| {
            let len = random.below(60);
            let word = |_| words[random.below(words.len())].trim_start_matches('#');
            (0..len).map(word).collect::<Vec<_>>().join(" ")
        })
        .collect()
}
