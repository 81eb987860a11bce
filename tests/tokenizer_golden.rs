//! All golden sequences of the repository and, if present, of the shared data.

mod tokenizer_json;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanerank::tokenizer::{
    AddedToken, Encoding, Tokenizer, TokenizerConfig, TokenizerScratch, TokenizerSections,
};
use tokenizer_json::Json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer")
}

fn config(row: &Json) -> TokenizerConfig {
    let steps = row["steps"].str();
    let mut config = TokenizerConfig {
        clean_text: steps.contains('c'),
        handle_chinese_chars: steps.contains('h'),
        strip_accents: steps.contains('s'),
        lowercase: steps.contains('l'),
        ..TokenizerConfig::bert_uncased()
    };
    if let Some(added) = row.get("added") {
        config.added_tokens = added.array().iter().map(added_token).collect();
    }
    config
}

fn added_token(row: &Json) -> AddedToken {
    let flag = |name| row.get(name).is_some_and(Json::bool);
    AddedToken {
        id: Some(row["id"].number() as u32),
        single_word: flag("single_word"),
        lstrip: flag("lstrip"),
        rstrip: flag("rstrip"),
        normalized: flag("normalized"),
        special: flag("special"),
        ..AddedToken::special(row["content"].str())
    }
}

fn ids(row: &Json, name: &str) -> Vec<u32> {
    row[name]
        .array()
        .iter()
        .map(|id| id.number() as u32)
        .collect()
}

/// The row's text or pair; the tokenizer's other calls must give the same ids.
fn encode(tokenizer: &Tokenizer, row: &Json, first: &str, second: &str) -> Encoding {
    let text = row[first].str();
    let Some(pair) = row.get(second) else {
        let encoding = tokenizer.encode(text, usize::MAX);
        let mut ids = Vec::new();
        let count = tokenizer.tokenize_into(text, 5, &mut TokenizerScratch::new(), &mut ids);
        let inner = &encoding.ids[1..encoding.ids.len() - 1];
        assert_eq!(
            (count, &ids[..]),
            (inner.len(), &inner[..inner.len().min(5)]),
            "{text:?}"
        );
        return encoding;
    };
    let max_length = row["max_length"].number() as usize;
    let encoding = tokenizer.encode_pair(text, pair.str(), max_length);
    let whole = tokenizer.encode_pair(text, pair.str(), usize::MAX);
    let cut = encoding.truncation.query_tokens + encoding.truncation.passage_tokens;
    assert_eq!(whole.ids.len() - encoding.ids.len(), cut, "{text:?}");
    assert_eq!(encoding.truncation.any(), cut > 0);
    assert!(encoding.ids.len() <= max_length);
    let type_ids: Vec<u8> = ids(row, "type_ids").iter().map(|&id| id as u8).collect();
    assert_eq!(encoding.type_ids, type_ids, "{text:?}");
    encoding
}

fn reopened(tokenizer: &Tokenizer) -> Tokenizer {
    let TokenizerSections {
        config,
        text,
        offsets,
        lookup,
        unigram,
    } = tokenizer.sections().clone();
    Tokenizer::from_sections(TokenizerSections {
        config,
        text,
        offsets,
        lookup,
        unigram,
    })
    .unwrap()
}

#[test]
fn cases_in_the_repository() {
    check_cases("cases.jsonl");
}

/// Added tokens that are matched in the normalised text.
#[test]
fn normalized_tokens() {
    check_cases("normalized.jsonl");
}

fn check_cases(file: &str) {
    let cases = std::fs::read_to_string(folder().join(file)).unwrap();
    let mut tokenizers: HashMap<String, Tokenizer> = HashMap::new();
    for line in cases.lines() {
        let row = Json::parse(line);
        let config = config(&row);
        let key = format!("{}{config:?}", row["vocab"].str());
        let tokenizer = tokenizers.entry(key).or_insert_with(|| {
            let vocab = std::fs::read(folder().join(row["vocab"].str())).unwrap();
            let built = Tokenizer::from_vocab_txt(&vocab, &config).unwrap();
            let opened = reopened(&built);
            assert_eq!(opened.config(), built.config());
            assert_eq!(opened.vocab_size(), built.vocab_size());
            opened
        });
        let as_text = row.get("as_text").is_some_and(Json::bool);
        let tokenizer = tokenizer.clone().special_tokens_as_text(as_text);
        let got = encode(&tokenizer, &row, "text", "pair");
        assert_eq!(got.ids, ids(&row, "ids"), "{line}");
    }
}

#[test]
fn shared_goldens() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let Ok(files) = std::fs::read_dir(data.join("text/golden")) else {
        println!("skipped: no ../shared/data/text/golden");
        return;
    };
    let open = |name: &str| {
        let vocab = std::fs::read(data.join("vocab").join(name).join("vocab.txt")).unwrap();
        Tokenizer::from_vocab_txt(&vocab, &TokenizerConfig::bert_uncased()).unwrap()
    };
    let (english, multilingual) = (
        open("bert-base-uncased"),
        open("bert-base-multilingual-uncased"),
    );
    for path in files.map(|file| file.unwrap().path()) {
        let Ok(unpacked) = Command::new("gzip").arg("-dc").arg(&path).output() else {
            println!("skipped: no gzip program to unpack {}", path.display());
            return;
        };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let tokenizer = if name.starts_with("mbert") {
            &multilingual
        } else {
            &english
        };
        let rows = String::from_utf8(unpacked.stdout).unwrap();
        assert!(!rows.is_empty(), "{name}");
        for line in rows.lines() {
            let row = Json::parse(line);
            let first = if row.get("query").is_some() {
                "query"
            } else {
                "text"
            };
            let got = encode(tokenizer, &row, first, "passage");
            assert_eq!(got.ids, ids(&row, "ids"), "{name}: {line}");
        }
    }
}
