//! Spellings of tensor names.

use std::collections::HashSet;

use lanerank::model::architectures::schema;
use lanerank::model::{Head, ModelConfig};

/// Prefixes of the tensors below the head, by architecture.
const PREFIXES: [&str; 2] = ["bert.", "electra."];

/// The name without an architecture's prefix, and with `weight` and `bias` of a layer norm, which
/// the first releases called `gamma` and `beta`.
pub(crate) fn canonical(name: &str) -> String {
    let without = |prefix: &&str| name.strip_prefix(prefix);
    let name = PREFIXES.iter().find_map(without).unwrap_or(name);
    for (old, new) in [("gamma", "weight"), ("beta", "bias")] {
        if let Some(stem) = name.strip_suffix(old)
            && stem.ends_with("LayerNorm.")
        {
            return format!("{stem}{new}");
        }
    }
    name.to_owned()
}

/// Whether a tensor is a buffer without weights.
pub(crate) fn is_buffer(name: &str) -> bool {
    matches!(
        name,
        "embeddings.position_ids" | "embeddings.token_type_ids"
    )
}

/// Names of the tensors that models of this shape have, with or without a classifier: an encoder's
/// file may have an unused one.
pub(crate) fn of_model(config: &ModelConfig) -> HashSet<String> {
    let classifier = ModelConfig {
        head: Head::Classifier { num_labels: 1 },
        ..config.clone()
    };
    schema(&classifier)
        .tensors()
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use lanerank::model::{Activation, Architecture, Pooling};

    use super::*;

    #[test]
    fn spellings() {
        assert_eq!(canonical("bert.pooler.dense.bias"), "pooler.dense.bias");
        assert_eq!(canonical("classifier.weight"), "classifier.weight");
        assert_eq!(
            canonical("encoder.layer.0.output.LayerNorm.gamma"),
            "encoder.layer.0.output.LayerNorm.weight"
        );
        assert_eq!(canonical("LayerNorm.beta"), "LayerNorm.bias");
        assert_eq!(canonical("x.gamma"), "x.gamma");
    }

    #[test]
    fn what_belongs_to_a_bert() {
        let config = ModelConfig {
            architecture: Architecture::Bert,
            hidden_size: 4,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 8,
            vocab_size: 9,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            head: Head::Encoder {
                pooling: Pooling::Cls,
                normalize: false,
            },
            max_length: 16,
        };
        let known = of_model(&config);
        for name in [
            "embeddings.LayerNorm.bias",
            "encoder.layer.1.attention.self.key.weight",
            "pooler.dense.weight",
            "classifier.bias",
        ] {
            assert!(known.contains(name), "{name}");
        }
        for name in [
            "encoder.layer.2.attention.self.key.weight",
            "encoder.layer.1.crossattention.self.key.weight",
            "cls.predictions.bias",
            "",
        ] {
            assert!(!known.contains(name), "{name}");
        }
    }
}
