//! `config.json`: the shape of the model, and whether lanerank can run it.

use std::collections::BTreeMap;

use lanerank::model::{Activation, Architecture, Head, ModelConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::import::labels::{self, Order};
use crate::import::refusals;

/// The fields of `config.json` that affect the arithmetic. Other fields are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    hidden_size: usize,
    embedding_size: Option<usize>,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    pad_token_id: Option<i64>,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "default_eps")]
    layer_norm_eps: f32,
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
    #[serde(default)]
    add_cross_attention: bool,
    pruned_heads: Option<BTreeMap<String, IgnoredAny>>,
    quantization_config: Option<Value>,
    num_labels: Option<usize>,
    id2label: Option<BTreeMap<String, Value>>,
}

fn two() -> usize {
    2
}

fn gelu() -> String {
    "gelu".into()
}

/// Hugging Face's default, for early files without the field.
fn default_eps() -> f32 {
    1e-12
}

/// `embedding_size` of an ELECTRA if the file does not have it: the default of Hugging Face's
/// `ElectraConfig`.
const ELECTRA_EMBEDDING_SIZE: usize = 128;

/// The task of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// `BertForSequenceClassification` and its kin: a cross-encoder.
    Classification,
    /// `BertModel`, `XLMRobertaModel`: a sentence encoder.
    Encoding,
}

impl Config {
    /// How the model is built.
    pub(super) fn architecture(&self) -> Architecture {
        let first = self.architectures.as_ref().and_then(|names| names.first());
        let is = |model_type: &str, class: &str| match self.model_type.as_deref() {
            Some(known) => known == model_type,
            None => first.is_some_and(|name| name.starts_with(class)),
        };
        if is("electra", "Electra") {
            Architecture::Electra {
                embedding_size: self.embedding_size.unwrap_or(ELECTRA_EMBEDDING_SIZE),
            }
        } else if is("xlm-roberta", "XLMRobertaFor") || is("xlm-roberta", "XLMRobertaModel") {
            Architecture::XlmRoberta
        } else {
            Architecture::Bert
        }
    }

    /// The task of the model. If the file does not name it, a classifier among the tensors decides.
    /// `pooled` says that something else asks for a sentence encoder: BERT with another head is one
    /// then, as sentence-transformers loads it.
    pub(super) fn task(&self, has_classifier: bool, pooled: bool) -> Result<Task, String> {
        let class = self.architectures.as_ref().and_then(|names| names.first());
        let class = class.map(String::as_str);
        match self.model_type.as_deref() {
            None | Some("bert" | "electra" | "xlm-roberta") => {}
            Some(other) => return Err(refusals::model_type(other)),
        }
        match (self.architecture(), class) {
            (Architecture::Bert, Some("BertForSequenceClassification"))
            | (Architecture::Electra { .. }, Some("ElectraForSequenceClassification"))
            | (Architecture::XlmRoberta, Some("XLMRobertaForSequenceClassification")) => {
                Ok(Task::Classification)
            }
            (Architecture::Bert, Some("BertModel"))
            | (Architecture::XlmRoberta, Some("XLMRobertaModel")) => Ok(Task::Encoding),
            (Architecture::XlmRoberta, Some(class))
                if pooled && class.starts_with("XLMRobertaFor") =>
            {
                Ok(Task::Encoding)
            }
            (Architecture::Bert, Some(class)) if pooled && class.starts_with("Bert") => {
                Ok(Task::Encoding)
            }
            (Architecture::Electra { .. }, Some(other)) => Err(refusals::electra(other)),
            (Architecture::XlmRoberta, Some(other)) => Err(refusals::xlm_roberta(other)),
            (_, Some(other)) => Err(refusals::architecture(other)),
            (_, None) if self.model_type.is_none() => {
                Err("neither model_type nor architectures says what this is".into())
            }
            (_, None) if has_classifier => Ok(Task::Classification),
            (_, None) => Ok(Task::Encoding),
        }
    }

    /// Refuses models whose arithmetic differs from a plain BERT encoder's.
    pub(super) fn check_supported(&self) -> Result<(), String> {
        if let Some(kind) = &self.position_embedding_type
            && kind != "absolute"
        {
            return Err(refusals::positions(kind));
        }
        if self.architecture() == Architecture::XlmRoberta
            && let Some(id) = self.pad_token_id.filter(|&id| id != 1)
        {
            return Err(format!(
                "pad_token_id {id}: XLM-RoBERTa's positions begin after it; only 1 is supported"
            ));
        }
        if self.is_decoder {
            return Err("is_decoder: decoders are not supported; use an encoder".into());
        }
        if self.add_cross_attention {
            return Err("add_cross_attention is not supported; use a plain encoder".into());
        }
        if self
            .pruned_heads
            .as_ref()
            .is_some_and(|heads| !heads.is_empty())
        {
            return Err("pruned_heads are not supported; use a model with all heads".into());
        }
        if self
            .quantization_config
            .as_ref()
            .is_some_and(|c| !c.is_null())
        {
            return Err(
                "quantization_config: already quantised; use the model's float weights".into(),
            );
        }
        Ok(())
    }

    /// Number of labels, if the file has it.
    pub(super) fn labels(&self) -> Option<usize> {
        let listed = self.id2label.as_ref().map(BTreeMap::len);
        self.num_labels.or(listed)
    }

    /// What the names of two labels say; `None` for other numbers of labels, or without names.
    pub(super) fn order(&self) -> Result<Option<Order>, String> {
        let Some(labels) = self.id2label.as_ref().filter(|labels| labels.len() == 2) else {
            return Ok(None);
        };
        match (labels.get("0"), labels.get("1")) {
            (Some(first), Some(second)) => labels::order(first, second).map(Some),
            _ => Ok(None),
        }
    }

    /// Rows of the embedding table.
    pub(super) fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The engine's configuration. `max_length` is limited by the positions.
    pub(super) fn model_config(
        &self,
        head: Head,
        max_length: Option<usize>,
    ) -> Result<ModelConfig, String> {
        // XLM-RoBERTa's first token has position 2.
        let longest = match self.architecture() {
            Architecture::XlmRoberta => self.max_position_embeddings.saturating_sub(2),
            _ => self.max_position_embeddings,
        };
        Ok(ModelConfig {
            architecture: self.architecture(),
            hidden_size: self.hidden_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            intermediate_size: self.intermediate_size,
            vocab_size: self.vocab_size,
            max_position_embeddings: self.max_position_embeddings,
            type_vocab_size: self.type_vocab_size,
            hidden_act: activation(&self.hidden_act)?,
            layer_norm_eps: self.layer_norm_eps,
            head,
            max_length: max_length.unwrap_or(longest).min(longest),
        })
    }
}

fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(format!(
            "hidden_act {other:?} is not supported; use a model with gelu, gelu_new, \
             gelu_pytorch_tanh or relu"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(changes: Value) -> Config {
        let mut all = json!({
            "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
            "vocab_size": 9, "max_position_embeddings": 12
        });
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    const CLASSIFIER: Head = Head::Classifier { num_labels: 1 };

    #[test]
    fn defaults_of_early_files() {
        let model = config(json!({})).model_config(CLASSIFIER, None).unwrap();
        assert_eq!((model.type_vocab_size, model.layer_norm_eps), (2, 1e-12));
        assert_eq!((model.hidden_act, model.max_length), (Activation::Gelu, 12));
        let long = config(json!({}))
            .model_config(CLASSIFIER, Some(512))
            .unwrap();
        assert_eq!(long.max_length, 12);
        let xlm = config(json!({"model_type": "xlm-roberta", "type_vocab_size": 1}));
        assert_eq!(xlm.model_config(CLASSIFIER, None).unwrap().max_length, 10);
        let short = config(json!({})).model_config(CLASSIFIER, Some(5)).unwrap();
        assert_eq!(short.max_length, 5);
    }

    #[test]
    fn tasks() {
        let task = |changes, classifier| config(changes).task(classifier, false);
        assert_eq!(task(json!({}), true), Ok(Task::Encoding));
        let classification = json!({"architectures": ["BertForSequenceClassification"]});
        assert_eq!(task(classification, false), Ok(Task::Classification));
        assert_eq!(
            task(json!({"architectures": null}), true),
            Ok(Task::Classification)
        );
        assert_eq!(
            task(json!({"architectures": []}), false),
            Ok(Task::Encoding)
        );
        let electra = |class: &str| json!({"model_type": "electra", "architectures": [class]});
        let task_of = |class| task(electra(class), false);
        assert_eq!(
            task_of("ElectraForSequenceClassification"),
            Ok(Task::Classification)
        );
        let error = task_of("ElectraForPreTraining").unwrap_err();
        assert!(
            error.contains("ElectraForSequenceClassification"),
            "{error}"
        );
        assert!(task(json!({"architectures": null, "model_type": null}), true).is_err());
        for class in ["BertForMaskedLM", "BertForPreTraining"] {
            let config = config(json!({"architectures": [class]}));
            assert!(config.task(true, false).is_err());
            assert_eq!(config.task(false, true), Ok(Task::Encoding));
        }
        let other = config(json!({"architectures": ["GPT2Model"]}));
        assert!(other.task(false, true).is_err());
        let xlm = |class: &str, pooled| {
            let changes = json!({"model_type": "xlm-roberta", "architectures": [class]});
            config(changes).task(false, pooled)
        };
        assert_eq!(
            xlm("XLMRobertaForSequenceClassification", false),
            Ok(Task::Classification)
        );
        assert_eq!(xlm("XLMRobertaModel", false), Ok(Task::Encoding));
        assert_eq!(xlm("XLMRobertaForMaskedLM", true), Ok(Task::Encoding));
        let error = xlm("XLMRobertaForMaskedLM", false).unwrap_err();
        assert!(error.contains("XLMRobertaForSequenceClassification"));
        let error = task(json!({"model_type": "xlm-roberta-xl"}), true).unwrap_err();
        assert!(error.contains("XLM-RoBERTa-XL"));
    }

    #[test]
    fn other_arithmetic_is_refused_by_name() {
        for (changes, name) in [
            (
                json!({"position_embedding_type": "relative_key_query"}),
                "relative_key_query",
            ),
            (json!({"is_decoder": true}), "is_decoder"),
            (
                json!({"model_type": "xlm-roberta", "pad_token_id": 0}),
                "pad_token_id 0",
            ),
            (json!({"add_cross_attention": true}), "add_cross_attention"),
            (json!({"pruned_heads": {"0": [1]}}), "pruned_heads"),
            (
                json!({"quantization_config": {"bits": 8}}),
                "quantization_config",
            ),
        ] {
            let error = config(changes).check_supported().unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        let plain = json!({
            "pruned_heads": {}, "position_embedding_type": "absolute", "quantization_config": null
        });
        assert!(config(plain).check_supported().is_ok());
        for (name, expected) in [
            ("relu", Some(Activation::Relu)),
            ("gelu_new", Some(Activation::GeluTanh)),
            ("gelu_pytorch_tanh", Some(Activation::GeluTanh)),
            ("silu", None),
        ] {
            let model = config(json!({"hidden_act": name})).model_config(CLASSIFIER, None);
            assert_eq!(model.ok().map(|m| m.hidden_act), expected, "{name}");
        }
    }

    #[test]
    fn labels() {
        assert_eq!(config(json!({})).labels(), None);
        assert_eq!(
            config(json!({"id2label": {"0": "a", "1": "b"}})).labels(),
            Some(2)
        );
        assert_eq!(config(json!({"num_labels": 1})).labels(), Some(1));
    }
}
