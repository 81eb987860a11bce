use serde_json::{Value, json};

use super::super::tokenizer_json::{Named, TokenizerFile, parse};
use super::*;
use lanerank::tokenizer::TokenizerKind;

fn special(id: &str) -> Value {
    json!({"SpecialToken": {"id": id, "type_id": 0}})
}

fn sequence(id: &str) -> Value {
    json!({"Sequence": {"id": id, "type_id": 0}})
}

fn xlm_roberta() -> Value {
    let mask = json!({"id": 4, "content": "<mask>", "special": true, "lstrip": true});
    let (cls, sep) = (special("<s>"), special("</s>"));
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [mask],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": ""},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": "\u{2581}", "str_rep": "\u{2581}",
                "add_prefix_space": true}]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [cls, sequence("A"), sep],
            "pair": [cls, sequence("A"), sep, sep, sequence("B"), sep],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}},
        "model": {"type": "Unigram", "unk_id": 3, "vocab": [["<s>", 0.0], ["<pad>", 0.0],
            ["</s>", 0.0], ["<unk>", 0.0], ["<mask>", 0.0], ["\u{2581}a", -2.5]]}
    })
}

fn with(pointer: &str, value: Value) -> Result<TokenizerFile, String> {
    let mut file = xlm_roberta();
    *file.pointer_mut(pointer).unwrap() = value;
    parse(&file.to_string(), Named::default())
}

fn rules(file: &TokenizerFile) -> UnigramRules {
    match file.rules.kind {
        TokenizerKind::Unigram(rules) => rules,
        _ => panic!("no Unigram"),
    }
}

#[test]
fn xlm_robertas_own() {
    let file = with("/version", json!("1.0")).unwrap();
    assert_eq!(file.pieces.len(), 6);
    assert_eq!(file.unigram.as_ref().unwrap().scores[5], -2.5);
    let names = &file.rules;
    assert_eq!((&*names.cls_token, &*names.sep_token), ("<s>", "</s>"));
    assert_eq!((&*names.unk_token, &*names.pad_token), ("<unk>", "<pad>"));
    assert_eq!(names.mask_token.as_deref(), Some("<mask>"));
    let split = UnigramRules {
        split_whitespace: true,
        ..UnigramRules::default()
    };
    assert_eq!(rules(&file), split);
    let roberta = json!({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0],
        "trim_offsets": true, "add_prefix_space": true});
    assert!(with("/post_processor", roberta).is_ok());
}

#[test]
fn later_converters_wrote_other_parts() {
    let pattern = json!({"Regex": " {2,}"});
    let replace =
        |content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let strip = json!({"type": "Strip", "strip_left": false, "strip_right": true});
    let sequence = |parts: Value| json!({"type": "Sequence", "normalizers": parts});
    let of = |parts| rules(&with("/normalizer", sequence(parts)).unwrap());
    assert_eq!(of(json!([replace(" ")])).spaces, Spaces::One);
    let both = of(json!([strip, replace("\u{2581}")]));
    assert_eq!(
        (both.spaces, both.strip_left, both.strip_right),
        (Spaces::Mark, false, true)
    );
    let table = |text: &str| json!({"type": "Precompiled", "precompiled_charsmap": text});
    let file = with("/normalizer", sequence(json!([table("AQID"), strip]))).unwrap();
    assert_eq!(file.unigram.unwrap().charsmap, [1, 2, 3]);
    assert!(with("/normalizer", Value::Null).is_ok());
    let metaspace = json!({"type": "Metaspace", "replacement": "\u{2581}",
        "prepend_scheme": "always", "split": true});
    assert!(!rules(&with("/pre_tokenizer", metaspace).unwrap()).split_whitespace);
    for (parts, words) in [
        (json!([replace("_")]), "by \"_\" is not"),
        (json!([replace(" "), strip]), "Strip in this place"),
        (json!([strip, strip]), "Strip in this place"),
        (json!([{"type": "NFKC"}]), "\"NFKC\" is not supported"),
        (json!([table("?")]), "precompiled_charsmap"),
    ] {
        let error = with("/normalizer", sequence(parts)).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn other_parts_are_refused_by_name() {
    let metaspace = |name: &str, value: Value| {
        let mut part = json!({"type": "Metaspace", "replacement": "\u{2581}"});
        part[name] = value;
        part
    };
    for (pointer, value, words) in [
        ("/model/unk_id", Value::Null, "unk_id: missing"),
        ("/model/unk_id", json!(6), "unk_id is not a piece's"),
        (
            "/model/vocab/5",
            json!(["<unk>", 0.0]),
            "\"<unk>\" occurs twice",
        ),
        ("/model/type", json!("WordLevel"), "\"WordLevel\""),
        ("/pre_tokenizer", Value::Null, "Metaspace, alone or after"),
        (
            "/pre_tokenizer",
            json!({"type": "ByteLevel"}),
            "\"ByteLevel\" is not",
        ),
        (
            "/pre_tokenizer",
            metaspace("add_prefix_space", json!(false)),
            "add_prefix_space false",
        ),
        (
            "/pre_tokenizer",
            metaspace("prepend_scheme", json!("first")),
            "prepend_scheme \"first\"",
        ),
        ("/pre_tokenizer", metaspace("split", json!(false)), "split"),
        (
            "/pre_tokenizer",
            metaspace("replacement", json!("_")),
            "replacement \"_\"",
        ),
        ("/post_processor", Value::Null, "post_processor: missing"),
        (
            "/post_processor",
            json!({"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}),
            "\"BertProcessing\"",
        ),
        (
            "/post_processor/pair/2",
            special("<s>"),
            "a template other than XLM-RoBERTa's",
        ),
        (
            "/post_processor/special_tokens/<s>/ids",
            json!([1]),
            "is not the vocabulary's piece 1",
        ),
    ] {
        let error = with(pointer, value).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    for (name, value) in [("byte_fallback", json!(true)), ("alpha", json!(0.1))] {
        let mut model = xlm_roberta()["model"].clone();
        model[name] = value;
        let error = with("/model", model).unwrap_err();
        assert!(error.contains(name), "{error}");
    }
}
