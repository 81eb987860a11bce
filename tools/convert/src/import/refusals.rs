//! Models that lanerank does not run, and which to use instead.

const ENGLISH: &str =
    "use a BERT cross-encoder with 1 or 2 labels, such as cross-encoder/ms-marco-MiniLM-L6-v2";
const MULTILINGUAL: &str =
    "use a BERT cross-encoder instead; for several languages one of XLM-RoBERTa in safetensors";
const DECODER: &str = "language models rerank far slower on a CPU; use a BERT cross-encoder such \
     as cross-encoder/ms-marco-MiniLM-L6-v2";

/// Prefixes of `model_type` (or of GGUF's `general.architecture`), the family's name and the
/// advice. The first match wins.
const FAMILIES: [(&str, &str, &str); 49] = [
    ("xlm-roberta-xl", "XLM-RoBERTa-XL", MULTILINGUAL),
    ("xlm-roberta", "XLM-RoBERTa in a GGUF file", MULTILINGUAL),
    ("xlm", "XLM", MULTILINGUAL),
    ("roberta", "RoBERTa", ENGLISH),
    ("camembert", "CamemBERT", MULTILINGUAL),
    ("deberta", "DeBERTa (relative positions)", ENGLISH),
    ("modernbert", "ModernBERT", ENGLISH),
    ("modern-bert", "ModernBERT", ENGLISH),
    ("distilbert", "DistilBERT", ENGLISH),
    ("electra", "ELECTRA in a GGUF file", ENGLISH),
    ("albert", "ALBERT", ENGLISH),
    ("mpnet", "MPNet (relative positions)", ENGLISH),
    ("jina", "JinaBERT (ALiBi)", ENGLISH),
    ("nomic_bert", "NomicBERT", ENGLISH),
    ("nomic-bert", "NomicBERT", ENGLISH),
    ("neobert", "NeoBERT", ENGLISH),
    ("neo-bert", "NeoBERT", ENGLISH),
    ("new", "GTE's NewModel", ENGLISH),
    ("eurobert", "EuroBERT", MULTILINGUAL),
    ("roformer", "RoFormer", ENGLISH),
    ("rembert", "RemBERT", MULTILINGUAL),
    ("ernie4", "ERNIE 4", DECODER),
    ("ernie", "ERNIE", ENGLISH),
    ("big_bird", "BigBird", ENGLISH),
    ("longformer", "Longformer", ENGLISH),
    ("xlnet", "XLNet", ENGLISH),
    ("umt5", "UMT5", MULTILINGUAL),
    ("mt5", "mT5", MULTILINGUAL),
    ("t5", "T5", ENGLISH),
    ("bart", "BART", ENGLISH),
    ("llama", "Llama", DECODER),
    ("qwen", "Qwen", DECODER),
    ("mistral", "Mistral", DECODER),
    ("mixtral", "Mixtral", DECODER),
    ("gemma", "Gemma", DECODER),
    ("phi", "Phi", DECODER),
    ("gpt", "GPT", DECODER),
    ("minicpm", "MiniCPM", DECODER),
    ("opt", "OPT", DECODER),
    ("falcon", "Falcon", DECODER),
    ("bloom", "BLOOM", DECODER),
    ("deepseek", "DeepSeek", DECODER),
    ("cohere", "Cohere", DECODER),
    ("command-r", "Command R", DECODER),
    ("granite", "Granite", DECODER),
    ("olmo", "OLMo", DECODER),
    ("smollm", "SmolLM", DECODER),
    ("internlm", "InternLM", DECODER),
    ("stablelm", "StableLM", DECODER),
];

/// The file that says what an adapter of PEFT changes.
pub(crate) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Why the weights of an adapter are refused.
pub(crate) fn adapter() -> String {
    "a PEFT adapter (LoRA or another kind) holds changes to a base model's weights, not a model: \
     load both with peft, call merge_and_unload(), save the result with save_pretrained, and \
     convert that folder"
        .into()
}

/// Why an ONNX file without a classifier is refused where a cross-encoder is wanted.
pub(super) fn onnx_without_head() -> String {
    "config.json says cross-encoder, but the graph has no classifier: the encoder alone was \
     exported; export BertForSequenceClassification (optimum-cli: --task text-classification), or \
     convert the model's safetensors"
        .into()
}

/// Whether a tensor's name is one that PEFT gives.
pub(super) fn is_of_adapter(tensor: &str) -> bool {
    tensor.starts_with("base_model.model.")
        || [".lora_", ".base_layer.", ".modules_to_save."]
            .iter()
            .any(|part| tensor.contains(part))
}

/// Why a SentencePiece tokenizer in a GGUF file is refused.
pub(super) fn sentence_piece() -> String {
    format!("SentencePiece is not read from GGUF files; {MULTILINGUAL}")
}

/// Why a SentencePiece model without a `tokenizer.json` is refused.
pub(super) fn sentence_piece_file() -> String {
    "a SentencePiece model alone is not read; add the model's tokenizer.json (load the folder with \
     transformers' AutoTokenizer and call save_pretrained)"
        .into()
}

/// Why positions other than absolute ones are refused.
pub(super) fn positions(kind: &str) -> String {
    let named = match kind {
        "alibi" => "ALiBi, as Jina's models have it, is",
        "rotary" | "rope" => "rotary positions are",
        kind if kind.starts_with("relative") => "relative positions are",
        _ => "this is",
    };
    format!("position_embedding_type {kind:?}: {named} not supported; {ENGLISH}")
}

/// Why a model type other than BERT is refused.
pub(super) fn model_type(name: &str) -> String {
    match FAMILIES.iter().find(|(start, ..)| name.starts_with(start)) {
        Some((_, family, advice)) => {
            format!("model_type {name:?}: {family} is not supported; {advice}")
        }
        None => format!("model_type {name:?} is not supported; {ENGLISH}"),
    }
}

/// Why an ELECTRA of another class than `ElectraForSequenceClassification` is refused.
pub(super) fn electra(class: &str) -> String {
    format!(
        "ELECTRA as {class:?} is not supported; lanerank reads ElectraForSequenceClassification"
    )
}

/// Why an XLM-RoBERTa of another class is refused.
pub(super) fn xlm_roberta(class: &str) -> String {
    format!(
        "XLM-RoBERTa as {class:?} is not supported; lanerank reads \
         XLMRobertaForSequenceClassification and XLMRobertaModel"
    )
}

/// Why an architecture other than `BertForSequenceClassification` and `BertModel` is refused.
pub(super) fn architecture(name: &str) -> String {
    let Some(task) = name.strip_prefix("BertFor").or(name.strip_prefix("Bert")) else {
        return format!("architecture {name:?} is not supported; {ENGLISH}");
    };
    let task = match task {
        "MaskedLM" | "PreTraining" | "LMHeadModel" => "predicts words",
        "NextSentencePrediction" => "tells which sentence follows which",
        "TokenClassification" => "labels tokens",
        "QuestionAnswering" => "marks answers inside a passage",
        "MultipleChoice" => "chooses among answers",
        _ => "does another task",
    };
    format!(
        "architecture {name:?} {task} and does not score passages; train it as \
         BertForSequenceClassification first, or {ENGLISH}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_named() {
        for (name, family) in [
            ("xlm-roberta", "XLM-RoBERTa"),
            ("deberta-v2", "DeBERTa"),
            ("modernbert", "ModernBERT"),
            ("modern-bert", "ModernBERT"),
            ("electra", "ELECTRA"),
            ("jina-bert-v2", "ALiBi"),
            ("t5", "T5"),
            ("t5encoder", "T5"),
            ("qwen3", "Qwen"),
            ("llama", "Llama"),
            ("gpt_neox", "GPT"),
            ("ernie4_5", "language models"),
            ("whisper", "\"whisper\""),
        ] {
            let text = model_type(name);
            let advice = text.contains("use a BERT cross-encoder");
            assert!(text.contains(family) && advice, "{text}");
        }
        // No prefix hides a later one.
        for (name, family, _) in FAMILIES {
            assert!(model_type(name).contains(family), "{name}");
        }
        assert!(architecture("BertForMaskedLM").contains("predicts words"));
        assert!(architecture("GPT2Model").contains("\"GPT2Model\" is not supported"));
    }

    #[test]
    fn tokenizers_and_positions_are_named() {
        assert!(sentence_piece().contains("use a BERT cross-encoder"));
        for (kind, words) in [
            ("alibi", "ALiBi, as Jina's models have it, is not"),
            ("relative_key", "relative positions are not"),
            ("rotary", "rotary positions are not"),
            ("other", "this is not"),
        ] {
            let text = positions(kind);
            assert!(
                text.contains(words) && text.contains("use a BERT"),
                "{text}"
            );
        }
    }
}
