use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{AddedTokens, Vocabulary};
use crate::import::files::Files;
use crate::import::huggingface::token_list::OPERATIONS;
use crate::import::huggingface::tokenizer;
use crate::import::huggingface::tokenizer_settings::TokenizerSettings;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/tokenizer")
        .join(name)
}

/// A folder with these files next to BERT's vocabulary.
fn folder(files: &Value, tokenizer_json: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let vocab = fs::read_to_string(data("vocab.txt")).unwrap();
    if tokenizer_json {
        let vocab: serde_json::Map<String, Value> = (vocab.lines().zip(0..))
            .map(|(piece, id)| (piece.into(), Value::from(id)))
            .collect();
        let special = [
            ("[PAD]", 0),
            ("[UNK]", 100),
            ("[CLS]", 101),
            ("[SEP]", 102),
            ("[MASK]", 103),
        ]
        .map(|(content, id)| json!({"id": id, "content": content, "special": true}));
        let file = json!({
            "added_tokens": special,
            "normalizer": {"type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 102],
                "cls": ["[CLS]", 101]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]",
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}
        });
        fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    }
    fs::write(folder.path().join("vocab.txt"), vocab).unwrap();
    for (name, content) in files.as_object().unwrap() {
        fs::write(folder.path().join(name), content.to_string()).unwrap();
    }
    folder
}

/// The ids of transformers (`make_added_token_goldens.py`).
#[test]
fn tokens_of_every_file() {
    let cases = fs::read_to_string(data("folders.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    assert!(cases.len() > 7);
    for case in cases {
        let folder = folder(&case["files"], case["tokenizer_json"] == json!(true));
        let read = tokenizer::read(&Files::folder(folder.path())).unwrap();
        for pair in case["pairs"].as_array().unwrap() {
            let text = |i: usize| pair["texts"][i].as_str().unwrap();
            let got = read.tokenizer.encode_pair(text(0), text(1), 512);
            assert_eq!(
                json!(got.ids),
                pair["ids"],
                "{}: {}",
                case["name"],
                pair["texts"]
            );
        }
    }
}

#[test]
fn files_that_disagree_are_refused_by_name() {
    let token = |content: &str| json!({"content": content, "normalized": false});
    let decoder = |id: &str, content: &str| json!({"added_tokens_decoder": {id: token(content)}});
    let file = json!({"#hashtag": 30522});
    for (files, json_file, words) in [
        (
            json!({"added_tokens.json": {"the": 7}}),
            false,
            ["added_tokens.json", "\"the\""],
        ),
        (
            json!({"added_tokens.json": {"#hashtag": 7}}),
            true,
            ["added_tokens.json", "piece's"],
        ),
        (
            json!({"added_tokens.json": {"#a": 30522, "#b": 30522}}),
            false,
            ["added_tokens.json", "both have id 30522"],
        ),
        (
            json!({
                "added_tokens.json": file,
                "tokenizer_config.json": decoder("30523", "#hashtag"),
            }),
            false,
            ["added_tokens.json", "30522 here, but 30523"],
        ),
        (
            json!({"added_tokens.json": file, "tokenizer_config.json": decoder("30522", "#other")}),
            false,
            ["added_tokens.json", "\"#other\" both have id 30522"],
        ),
        (
            json!({"tokenizer_config.json": {"added_tokens_decoder":
                {"103": {"content": "[MASK]", "lstrip": true}}}}),
            true,
            ["tokenizer_config.json", "\"[MASK]\" has other flags"],
        ),
    ] {
        let folder = folder(&files, json_file);
        let error = tokenizer::read(&Files::folder(folder.path()))
            .err()
            .unwrap();
        let error = error.to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

/// A list of tokens has no operation that searches ([`super::super::token_list`]), so the number of
/// operations is the work.
#[test]
fn each_of_very_many_tokens_takes_a_few_operations() {
    const COUNT: u32 = 100_000;
    let first = 30_522;
    let name = |i: u32| format!("#{i}");
    let by_text: serde_json::Map<String, Value> =
        (0..COUNT).map(|i| (name(i), json!(first + i))).collect();
    let by_id: serde_json::Map<String, Value> = (0..COUNT)
        .map(|i| {
            (
                (first + i).to_string(),
                json!({"content": name(i), "special": true}),
            )
        })
        .collect();
    let special: Vec<String> = (COUNT..2 * COUNT).map(name).collect();
    let folder = folder(
        &json!({
            "added_tokens.json": by_text,
            "tokenizer_config.json": {
                "added_tokens_decoder": by_id, "additional_special_tokens": special,
            },
            "special_tokens_map.json": {"additional_special_tokens": special},
        }),
        false,
    );
    // Each has its own memory to take: together they would be refused before they are read.
    let open = || Files::folder(folder.path());
    let vocab = open().read_lines("vocab.txt").unwrap();
    let vocabulary = Vocabulary::new(vocab.lines());
    let settings = TokenizerSettings::read(&open()).unwrap();
    let mut rules = settings.rules(|piece| vocabulary.has(piece)).unwrap();
    let before = OPERATIONS.get();
    let files = open();
    let added = AddedTokens::read(&files).unwrap();
    added
        .complete(&files, &settings, &vocabulary, &mut rules, false)
        .unwrap();
    assert_eq!(rules.added_tokens.len(), 5 + 2 * COUNT as usize);
    let last = rules.added_tokens.last().unwrap();
    assert_eq!(
        (last.content.as_str(), last.id),
        ("#199999", Some(first + 2 * COUNT - 1))
    );
    let operations = OPERATIONS.get() - before;
    assert!(operations < 10 * COUNT as usize, "{operations}");
}
