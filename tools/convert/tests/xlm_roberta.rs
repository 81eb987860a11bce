//! XLM-RoBERTa's tokenizer against `tokenizers` (`make_unigram_goldens.py` made the ids), and its
//! models, converted and scored, against transformers (`make_xlm_roberta_goldens.py`).

mod common;

use common::{Case, Expected, check, data, expected, model, open, ranker};
use lanerank::kernels::Kernels;
use lanerank::model::{Architecture, Head, Pooling};
use lanerank::tokenizer::{Role, Tokenizer, TokenizerKind};
use lanerank::{Encoder, RerankOptions};
use lanerank_convert::convert::WeightDtype;
use lanerank_convert::import::{self, Options};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Group {
    changes: Value,
    cases: Vec<Encoded>,
}

#[derive(Deserialize)]
struct Encoded {
    text: String,
    pair: Option<String>,
    max_length: usize,
    ids: Vec<u32>,
}

fn base() -> Value {
    let text = std::fs::read_to_string(data().join("tokenizer/unigram/tokenizer.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Puts the file's own table where the goldens say so.
fn filled(value: &Value, table: &Value) -> Value {
    let text = value.to_string();
    let table = table.to_string();
    serde_json::from_str(&text.replace("\"TABLE\"", &table)).unwrap()
}

fn tokenizer(changes: &Value) -> Tokenizer {
    let mut file = base();
    let table = file["normalizer"].clone();
    for (pointer, value) in changes.as_object().unwrap() {
        *file.pointer_mut(pointer).unwrap() = filled(value, &table);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, file.to_string()).unwrap();
    import::tokenizer_json(&path).unwrap()
}

#[test]
fn ids_are_those_of_tokenizers() {
    let text = std::fs::read_to_string(data().join("tokenizer/unigram/cases.json")).unwrap();
    let groups: Vec<Group> = serde_json::from_str(&text).unwrap();
    assert!(groups.len() >= 9);
    for Group { changes, cases } in &groups {
        let tokenizer = tokenizer(changes);
        assert_eq!(tokenizer.check(), Ok(()));
        for case in cases {
            let ours = match &case.pair {
                Some(pair) => tokenizer.encode_pair(&case.text, pair, case.max_length),
                None => tokenizer.encode(&case.text, case.max_length),
            };
            assert_eq!(
                ours.ids, case.ids,
                "{changes}: {:?} {:?}",
                case.text, case.pair
            );
            assert!(ours.type_ids.iter().all(|&id| id == 0));
        }
    }
}

#[derive(Deserialize)]
struct Embedded {
    text: String,
    embedding: Vec<f32>,
}

#[test]
fn one_label_in_safetensors() {
    check("xlm-roberta", Architecture::XlmRoberta, 1, 5e-5);
}

#[test]
fn two_labels_in_a_pytorch_file() {
    check("xlm-roberta-2", Architecture::XlmRoberta, 2, 5e-5);
}

/// The query's tokens are computed once per request, which changes no bit of a score.
#[test]
fn a_request_gives_the_scores_of_its_pairs() {
    let model = model("xlm-roberta", WeightDtype::Int8);
    let ranker = ranker(&model, Kernels::best().isa());
    let passages: Vec<String> = expected::<Case>("xlm-roberta")
        .cases
        .into_iter()
        .map(|case| case.passage)
        .collect();
    for query in ["who is born free", "<pad> a <pad>", ""] {
        let together = ranker.scores(query, &passages).unwrap();
        for (passage, score) in passages.iter().zip(together) {
            let alone = ranker.scores(query, &[passage]).unwrap()[0];
            assert_eq!(alone.to_bits(), score.to_bits(), "{query:?} {passage:?}");
        }
    }
}

#[test]
fn vectors_are_those_of_transformers() {
    let variant = "xlm-roberta-encoder";
    let source = open(variant);
    let head = Head::Encoder {
        pooling: Pooling::Mean,
        normalize: true,
    };
    assert_eq!(source.config.head, head);
    let Expected { max_length, cases } = expected::<Embedded>(variant);
    assert_eq!(source.config.max_length, max_length);
    let encoder = Encoder::builder()
        .opened(model(variant, WeightDtype::F32))
        .build();
    let encoder = encoder.unwrap();
    for case in cases {
        let ours = encoder.encode(&[&case.text]).unwrap();
        for (ours, theirs) in ours[0].iter().zip(&case.embedding) {
            assert!((ours - theirs).abs() < 2e-5, "{:?}", case.text);
        }
    }
}

#[test]
fn everything_around_a_score_works() {
    let model = model("xlm-roberta", WeightDtype::Int8);
    assert!(matches!(
        model.tokenizer().config().kind,
        TokenizerKind::Unigram(_)
    ));
    let ranker = ranker(&model, Kernels::best().isa());
    let (query, passage) = ("who is born free", "All humans are,  born free.");
    let options = RerankOptions::default();
    let explained = ranker.explain(query, passage, &options).unwrap();
    let words: Vec<&str> = explained
        .spans
        .iter()
        .filter(|span| span.effect.is_some())
        .map(|span| &passage[span.range.clone()])
        .collect();
    assert_eq!(words, ["All", "humans", "are,", "born", "free."]);
    let score = ranker.scores(query, &[passage]).unwrap()[0];
    assert_eq!(explained.score.to_bits(), score.to_bits());
    let mut scratch = lanerank::tokenizer::TokenizerScratch::new();
    let tokenizer = model.tokenizer();
    let tokens = tokenizer.count_as(Role::Query, query, &mut scratch)
        + tokenizer.count_as(Role::Passage, passage, &mut scratch);
    let encoded = tokenizer.encode_pair(query, passage, 64);
    assert_eq!(encoded.ids.len(), tokens + 4);
}

#[test]
fn other_classes_and_positions_are_refused() {
    let copy = |changes: Value| {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors",
        ] {
            let from = common::folder("xlm-roberta").join(name);
            std::fs::copy(from, folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        for (name, value) in changes.as_object().unwrap() {
            config[name] = value.clone();
        }
        std::fs::write(&path, config.to_string()).unwrap();
        let opened = import::open(folder.path(), &Options::default());
        opened.err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(copy(json!({})), "");
    for (changes, words) in [
        (json!({"pad_token_id": 0}), "pad_token_id 0"),
        (
            json!({"architectures": ["XLMRobertaForTokenClassification"]}),
            "XLMRobertaModel",
        ),
    ] {
        let error = copy(changes);
        assert!(error.contains(words), "{error}");
    }
}
