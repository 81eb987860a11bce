//! The keys of `tokenizer_config.json`, and what each does to ids, token types and length.
//!
//! A key that is a field of [`TokenizerSettings`](super::tokenizer_settings::TokenizerSettings) is
//! honoured. Every other key is in one of the two lists here, or named in a note.

use std::collections::BTreeMap;

use serde_json::Value;

/// Keys that change ids or length: the only value that lanerank can follow, and the advice
/// otherwise. `null` is the default, which is that value.
const REFUSED: [(&str, &str, &str); 8] = [
    (
        "truncation_side",
        "\"right\"",
        "a model file does not hold the side; set it to \"right\", and choose the side of each \
         request with RerankOptions::truncation_side",
    ),
    (
        "split_special_tokens",
        "false",
        "a model file does not hold this choice; set it to false, and use \
         Tokenizer::special_tokens_as_text",
    ),
    (
        "do_basic_tokenize",
        "true",
        "use a tokenizer with BERT's splitting of words",
    ),
    (
        "do_word_tokenize",
        "true",
        "use a tokenizer with BERT's splitting of words",
    ),
    (
        "do_subword_tokenize",
        "true",
        "use a tokenizer with WordPiece",
    ),
    (
        "clean_text",
        "true",
        "use a tokenizer that drops control characters",
    ),
    (
        "sp_model_kwargs",
        "{}",
        "use a tokenizer that samples nothing",
    ),
    ("wordpieces_prefix", "\"##\"", "use a vocabulary with ##"),
];

/// Keys without an effect on ids, types and length of a BERT tokenizer. lanerank does not pad, and
/// `longest_first` is the truncation of every program that ranks, which sets the length itself.
const WITHOUT_EFFECT: [&str; 38] = [
    "_commit_hash",
    "_from_auto",
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "added_tokens_file",
    "auto_map",
    "backend",
    "chat_template",
    "clean_up_tokenization_spaces",
    "device_map",
    "errors",
    "fix_mistral_regex",
    "from_slow",
    "full_tokenizer_file",
    "init_inputs",
    "is_fast",
    "is_local",
    "legacy",
    "local_files_only",
    "max_length",
    "merges_file",
    "name_or_path",
    "pad_to_multiple_of",
    "pad_token_type_id",
    "padding",
    "padding_side",
    "processor_class",
    "response_schema",
    "response_template",
    "special_tokens_map_file",
    "stride",
    "tokenizer_file",
    "transformers_version",
    "truncation_strategy",
    "use_fast",
    "verbose",
    "vocab_file",
];

/// Refuses values that lanerank cannot follow.
///
/// # Errors
/// Names the key and its value.
pub(super) fn check(keys: &BTreeMap<String, Value>) -> Result<(), String> {
    for (key, followed, advice) in REFUSED {
        let value = keys.get(key).filter(|value| !value.is_null());
        let value = value.map_or_else(|| followed.to_owned(), Value::to_string);
        if value != followed {
            return Err(format!("{key}: {value} is not supported; {advice}"));
        }
    }
    Ok(())
}

/// A note on keys that no list has.
pub(super) fn unknown(keys: &BTreeMap<String, Value>) -> Option<String> {
    let known = |key: &str| {
        key.ends_with("_token")
            || WITHOUT_EFFECT.contains(&key)
            || REFUSED.iter().any(|(refused, ..)| *refused == key)
    };
    let unknown: Vec<&str> = keys
        .keys()
        .map(String::as_str)
        .filter(|key| !known(key))
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "keys of tokenizer_config.json that lanerank does not know were ignored; if one of \
             them changes how texts become tokens, the scores are wrong: {}",
            unknown.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: Value) -> BTreeMap<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_cannot_be_followed_is_refused_by_name() {
        for (key, value) in [
            ("truncation_side", json!("left")),
            ("split_special_tokens", json!(true)),
            ("do_basic_tokenize", json!(false)),
            ("sp_model_kwargs", json!({"alpha": 0.1})),
            ("wordpieces_prefix", json!("@@")),
        ] {
            let error = check(&keys(json!({key: value}))).unwrap_err();
            assert!(
                error.starts_with(&format!("{key}: {value} is not")),
                "{error}"
            );
            assert_eq!(check(&keys(json!({key: null}))), Ok(()));
        }
        let usual = json!({"truncation_side": "right", "split_special_tokens": false});
        assert_eq!(check(&keys(usual)), Ok(()));
    }

    #[test]
    fn unknown_keys_are_noted() {
        assert_eq!(
            unknown(&keys(json!({"padding_side": "left", "eos_token": null}))),
            None
        );
        let note = unknown(&keys(json!({"stem_words": true, "verbose": true}))).unwrap();
        assert!(note.ends_with(": stem_words"), "{note}");
    }
}
