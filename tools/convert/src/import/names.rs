//! Spellings of tensor names.

use std::borrow::Cow;
use std::collections::HashSet;

use lanerank::model::architectures::schema;
use lanerank::model::{Head, ModelConfig};

use super::refusals;

/// Prefixes of the tensors below the head, by architecture.
const PREFIXES: [&str; 3] = ["bert.", "electra.", "roberta."];

/// Prefixes that programs put before every name when they wrap a model: DataParallel, a training
/// module, FSDP and sentence-transformers.
const WRAPPERS: [&str; 5] = [
    "module.",
    "model.",
    "_fsdp_wrapped_module.",
    "0.auto_model.",
    "auto_model.",
];

/// The part that `torch.compile` puts into a name, wherever the compiled module is.
const COMPILED: &str = "_orig_mod";

/// The tensor that every model has once.
const WORDS: &str = "embeddings.word_embeddings.weight";

/// How a file names its tensors.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    /// The prefix of every name. The architecture's own follows.
    prefix: String,
}

impl Naming {
    /// Finds what the names of a file have in common.
    ///
    /// # Errors
    /// Names a prefix that is not a known one, or that not all names have.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Result<Self, String> {
        if names.clone().any(refusals::is_of_adapter) {
            return Err(refusals::adapter());
        }
        let mut prefixes = names
            .clone()
            .map(uncompiled)
            .filter_map(|name| prefix(&name));
        let Some(first) = prefixes.next() else {
            return Ok(Self::default());
        };
        if first.is_empty() || prefixes.any(|prefix| prefix.is_empty()) {
            return Ok(Self::default());
        }
        let mut unknown = first.as_str();
        while let Some(rest) = WRAPPERS
            .iter()
            .find_map(|wrapper| unknown.strip_prefix(wrapper))
        {
            unknown = rest;
        }
        if !unknown.is_empty() {
            return Err(format!(
                "the tensors have names such as \"{first}{WORDS}\": the prefix {unknown:?} is not \
                 known; save the model itself with save_pretrained, or take it off the names"
            ));
        }
        match names.map(uncompiled).find(|name| !name.starts_with(&first)) {
            Some(other) => Err(format!(
                "tensor {other:?} lacks the prefix {first:?}, which other names have; save the \
                 model itself with save_pretrained, or take the prefix off"
            )),
            None => Ok(Naming { prefix: first }),
        }
    }

    /// The name without the file's prefix and the architecture's, and with `weight` and `bias` of a
    /// layer norm, which the first releases called `gamma` and `beta`.
    pub(crate) fn canonical(&self, name: &str) -> String {
        let name = uncompiled(name);
        canonical(name.strip_prefix(&self.prefix).unwrap_or(&name))
    }
}

/// The name without the parts of `torch.compile`.
fn uncompiled(name: &str) -> Cow<'_, str> {
    if !name.contains(COMPILED) {
        return Cow::Borrowed(name);
    }
    let parts: Vec<&str> = name.split('.').filter(|&part| part != COMPILED).collect();
    Cow::Owned(parts.join("."))
}

/// What precedes the architecture's own names, if this is the table of words.
fn prefix(name: &str) -> Option<String> {
    let before = name.strip_suffix(WORDS)?;
    let without = PREFIXES.iter().find_map(|own| before.strip_suffix(own));
    let prefix = without.filter(|rest| rest.is_empty() || rest.ends_with('.'));
    Some(prefix.unwrap_or(before).to_owned())
}

fn canonical(name: &str) -> String {
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

    fn renamed(names: &[&str]) -> Result<Vec<String>, String> {
        let naming = Naming::of(names.iter().copied())?;
        Ok(names.iter().map(|name| naming.canonical(name)).collect())
    }

    #[test]
    fn shared_prefixes_of_wrappers_are_taken_off() {
        let plain = [WORDS, "pooler.dense.bias", "classifier.weight"];
        for prefix in [
            "",
            "module.",
            "_orig_mod.",
            "model.",
            "module._orig_mod.",
            "_orig_mod.module.model.",
            "0.auto_model.",
        ] {
            for own in ["", "bert.", "electra.", "roberta."] {
                let head = format!("{prefix}classifier.weight");
                let names = [WORDS, "pooler.dense.bias"].map(|name| format!("{prefix}{own}{name}"));
                let renamed = renamed(&[&names[0], &names[1], &head]);
                assert_eq!(renamed.unwrap(), plain, "{prefix}{own}");
            }
        }
        // Only a part was compiled.
        let name = "bert._orig_mod.embeddings.word_embeddings.weight";
        assert_eq!(
            renamed(&[name, "classifier.weight"]).unwrap(),
            [WORDS, "classifier.weight"]
        );
        // A second model beside the plain one.
        let names = [WORDS, "model.embeddings.word_embeddings.weight"];
        assert_eq!(renamed(&names).unwrap(), names);
    }

    #[test]
    fn other_prefixes_are_named() {
        for (names, words) in [
            (
                ["student.bert.", "student."],
                "the prefix \"student.\" is not known",
            ),
            (
                ["module.net.bert.", "module."],
                "the prefix \"net.\" is not known",
            ),
            (
                ["mybert.", "classifier."],
                "the prefix \"mybert.\" is not known",
            ),
            (
                ["module.bert.", "classifier."],
                "\"classifier.x\" lacks the prefix \"module.\"",
            ),
        ] {
            let table = format!("{}{WORDS}", names[0]);
            let error = renamed(&[&table, &format!("{}x", names[1])]).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        for name in [
            "base_model.model.bert.pooler.dense.weight",
            "bert.encoder.layer.0.attention.self.query.lora_A.default.weight",
            "bert.encoder.layer.0.attention.self.query.base_layer.weight",
        ] {
            let error = renamed(&[WORDS, name]).unwrap_err();
            assert!(error.contains("merge_and_unload()"), "{error}");
        }
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
