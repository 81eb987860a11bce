use serde_json::{Value, json};

use super::*;

fn bert() -> Value {
    json!({
        "version": "1.0", "truncation": {"max_length": 128}, "padding": null,
        "added_tokens": [{"id": 1, "content": "[CLS]", "special": true, "normalized": false,
            "lstrip": false, "rstrip": false, "single_word": false}],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "decoder": {"type": "WordPiece", "prefix": "##"},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0, "[SEP]": 2, "[CLS]": 1, "a": 4, "[MASK]": 3}}
    })
}

fn with(pointer: &str, value: Value) -> Result<TokenizerFile, String> {
    let mut file = bert();
    *file.pointer_mut(pointer).unwrap() = value;
    parse(&file.to_string(), Named::default())
}

fn refusal(pointer: &str, value: Value) -> String {
    with(pointer, value).unwrap_err()
}

#[test]
fn berts_own() {
    let file = with("/version", json!("1.0")).unwrap();
    assert_eq!(file.pieces, ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]);
    let rules = &file.rules;
    assert!(rules.lowercase && rules.strip_accents);
    assert_eq!(
        (rules.cls_token.as_str(), rules.sep_token.as_str()),
        ("[CLS]", "[SEP]")
    );
    assert_eq!(rules.mask_token.as_deref(), Some("[MASK]"));
    assert_eq!(rules.added_tokens[0].id, Some(1));
    let accents = with("/normalizer/strip_accents", json!(false)).unwrap();
    assert!(!accents.rules.strip_accents);
    let wrapped = json!({"type": "Sequence", "normalizers": [bert()["normalizer"]]});
    assert!(with("/normalizer", wrapped).is_ok());
    let wrapped = json!({"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}]});
    assert!(with("/pre_tokenizer", wrapped).is_ok());
}

#[test]
fn truncation_from_the_left_is_refused() {
    assert!(with("/truncation/max_length", json!(64)).is_ok());
    let error = refusal(
        "/truncation",
        json!({"direction": "Left", "max_length": 64}),
    );
    assert!(error.contains("truncation.direction \"Left\""), "{error}");
}

fn template(pair_type: u32, ids: Value) -> Value {
    let special = |id: &str, kind: u32| json!({"SpecialToken": {"id": id, "type_id": kind}});
    let sequence = |id: &str, kind: u32| json!({"Sequence": {"id": id, "type_id": kind}});
    json!({"type": "TemplateProcessing",
        "single": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)],
        "pair": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0),
            sequence("B", pair_type), special("[SEP]", pair_type)],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]},
            "[SEP]": {"id": "[SEP]", "ids": ids, "tokens": ["[SEP]"]}}})
}

#[test]
fn templates() {
    let file = with("/post_processor", template(1, json!([2]))).unwrap();
    assert_eq!(file.rules.sep_token, "[SEP]");
    let error = refusal("/post_processor", template(0, json!([2])));
    assert!(error.contains("template other than BERT's"), "{error}");
    assert!(with("/post_processor", template(1, json!([2, 2]))).is_err());
    let error = refusal("/post_processor", template(1, json!([3])));
    assert!(
        error.contains("\"[SEP]\" is not the vocabulary's piece 3"),
        "{error}"
    );
}

#[test]
fn every_other_kind_is_refused_by_name() {
    for model in ["BPE", "WordLevel"] {
        let error = refusal("/model", json!({"type": model, "vocab": []}));
        assert!(error.contains(&format!("model {model:?}")), "{error}");
    }
    for kind in ["NFC", "Lowercase", "Precompiled"] {
        let error = refusal("/normalizer", json!({"type": kind}));
        assert!(error.contains(&format!("normalizer {kind:?}")), "{error}");
    }
    for kind in ["ByteLevel", "Metaspace", "Whitespace"] {
        let error = refusal("/pre_tokenizer", json!({"type": kind}));
        assert!(
            error.contains(&format!("pre_tokenizer {kind:?}")),
            "{error}"
        );
    }
    let error = refusal("/post_processor", json!({"type": "RobertaProcessing"}));
    assert!(error.contains("RobertaProcessing"), "{error}");
    let two = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFD"}]});
    assert!(refusal("/normalizer", two).contains("sequence of 2"));
    for name in ["normalizer", "pre_tokenizer", "post_processor"] {
        let error = refusal(&format!("/{name}"), Value::Null);
        assert!(error.starts_with(&format!("{name}: missing")), "{error}");
    }
    let mut odd = bert()["normalizer"].clone();
    odd["emoji"] = json!(true);
    assert!(refusal("/normalizer", odd).contains("emoji"));
}

#[test]
fn ids_have_neither_holes_nor_doubles() {
    let vocab = |text: &str| {
        let vocab = serde_json::from_str(text).unwrap();
        in_order(vocab)
    };
    assert_eq!(vocab(r#"{"b":1,"a":0}"#).unwrap(), ["a", "b"]);
    let error = vocab(r#"{"a":0,"b":2}"#).unwrap_err();
    assert!(error.contains("\"b\" has id 2 among 2"), "{error}");
    let error = vocab(r#"{"a":0,"b":0}"#).unwrap_err();
    assert!(error.contains("\"a\" and \"b\" both have id 0"), "{error}");
    assert!(vocab(r#"{"a":18446744073709551615}"#).is_err());
    let error = refusal("/model/vocab", json!({"a": -1}));
    assert!(error.starts_with("model: "), "{error}");
}

#[test]
fn files_that_are_not_tokenizers() {
    for text in [
        "",
        "{}",
        "[]",
        "{\"model\":null}",
        "{\"model\":{\"type\":\"WordPiece\"}}",
    ] {
        assert!(parse(text, Named::default()).is_err(), "{text}");
    }
}
