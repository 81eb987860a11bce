//! Models that lanerank does not run, and what to take instead.

const ENGLISH: &str =
    "use a BERT cross-encoder with 1 or 2 labels, such as cross-encoder/ms-marco-MiniLM-L6-v2";
const MULTILINGUAL: &str =
    "use a BERT cross-encoder instead; for several languages one made from bert-base-multilingual";
const DECODER: &str = "language models rerank far slower on a CPU; use a BERT cross-encoder such as \
     cross-encoder/ms-marco-MiniLM-L6-v2";

/// Beginnings of `model_type`, the family's name and the advice. The first that fits holds.
const FAMILIES: [(&str, &str, &str); 26] = [
    ("xlm-roberta", "XLM-RoBERTa", MULTILINGUAL),
    ("roberta", "RoBERTa", ENGLISH),
    ("camembert", "CamemBERT", MULTILINGUAL),
    ("deberta", "DeBERTa", ENGLISH),
    ("modernbert", "ModernBERT", ENGLISH),
    ("distilbert", "DistilBERT", ENGLISH),
    ("electra", "ELECTRA", ENGLISH),
    ("albert", "ALBERT", ENGLISH),
    ("mpnet", "MPNet", ENGLISH),
    ("nomic_bert", "NomicBERT", ENGLISH),
    ("new", "GTE's NewModel", ENGLISH),
    ("eurobert", "EuroBERT", MULTILINGUAL),
    ("big_bird", "BigBird", ENGLISH),
    ("longformer", "Longformer", ENGLISH),
    ("umt5", "UMT5", MULTILINGUAL),
    ("mt5", "mT5", MULTILINGUAL),
    ("t5", "T5", ENGLISH),
    ("bart", "BART", ENGLISH),
    ("llama", "Llama", DECODER),
    ("qwen", "Qwen", DECODER),
    ("mistral", "Mistral", DECODER),
    ("gemma", "Gemma", DECODER),
    ("phi", "Phi", DECODER),
    ("gpt", "GPT", DECODER),
    ("minicpm", "MiniCPM", DECODER),
    ("opt", "OPT", DECODER),
];

/// Why a model type other than BERT is refused.
pub fn model_type(name: &str) -> String {
    match FAMILIES.iter().find(|(start, ..)| name.starts_with(start)) {
        Some((_, family, advice)) => {
            format!("model_type {name:?}: {family} is not supported; {advice}")
        }
        None => format!("model_type {name:?} is not supported; {ENGLISH}"),
    }
}

/// Why an architecture is refused that is neither `BertForSequenceClassification` nor `BertModel`.
pub fn architecture(name: &str) -> String {
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
            ("electra", "ELECTRA"),
            ("t5", "T5"),
            ("qwen3", "Qwen"),
            ("whisper", "\"whisper\""),
        ] {
            let text = model_type(name);
            assert!(
                text.contains(family) && text.contains("use a BERT"),
                "{text}"
            );
        }
        assert!(architecture("BertForMaskedLM").contains("predicts words"));
        assert!(architecture("GPT2Model").contains("\"GPT2Model\" is not supported"));
    }
}
