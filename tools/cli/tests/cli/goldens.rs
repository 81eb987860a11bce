//! Tiny models of many kinds, converted and scored, compared with torch's results
//! (`tests/goldens/make_model_goldens.py` makes both).

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{lanerank, lanerank_with};

/// Largest difference of a float file's logits, or of a vector's cosine from 1, by dtype.
const DTYPES: [(&str, f64, f64); 3] = [
    ("f32", 1e-4, 1e-6),
    ("f16", 3e-2, 1e-4),
    ("int8", f64::NAN, 5e-3),
];
/// Largest difference of an int8 file's logits, as a share of their range. Only a sanity check:
/// `tests/peers/check_logits.py` measures int8 on real shapes.
const INT8_SHARE: f64 = 0.1;

#[derive(Deserialize)]
struct Expected<C> {
    max_length: usize,
    cases: Vec<C>,
}

#[derive(Deserialize)]
struct PairCase {
    query: String,
    passage: String,
    ids: Vec<u32>,
    logits: Vec<f64>,
}

#[derive(Deserialize)]
struct TextCase {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f64>,
}

fn folder(variant: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/model")
        .join(variant)
}

fn expected<C: for<'de> Deserialize<'de>>(variant: &str) -> Expected<C> {
    let text = std::fs::read_to_string(folder(variant).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Converts a variant; returns the temporary folder and the file in it.
fn convert(variant: &str, dtype: &str) -> (TempDir, String) {
    let place = TempDir::new().unwrap();
    let file = place.path().join("m.lane").to_str().unwrap().to_owned();
    let source = folder(variant);
    lanerank(&[
        "convert",
        source.to_str().unwrap(),
        "-o",
        &file,
        "--dtype",
        dtype,
    ])
    .ok();
    lanerank(&["inspect", &file, "--check"]).ok();
    (place, file)
}

fn ids(file: &str, max_length: usize, texts: &Value) -> Vec<u32> {
    let length = max_length.to_string();
    let args = ["tokenize", "--model", file, "--max-length", &length];
    let tokens = lanerank_with(&args, &texts.to_string()).json();
    serde_json::from_value(tokens["ids"].clone()).unwrap()
}

fn logit(logits: &[f64]) -> f64 {
    match logits {
        [no, yes] => yes - no,
        _ => logits[0],
    }
}

fn check_pairs(variant: &str) {
    let Expected { max_length, cases } = expected::<PairCase>(variant);
    assert!(cases.len() > 10);
    let logits = || cases.iter().map(|case| logit(&case.logits));
    let range = logits().fold(f64::MIN, f64::max) - logits().fold(f64::MAX, f64::min);
    for (dtype, bound, _) in DTYPES {
        let bound = if dtype == "int8" {
            INT8_SHARE * range
        } else {
            bound
        };
        let (_place, file) = convert(variant, dtype);
        for case in &cases {
            let request = json!({"query": case.query, "passages": [{"text": case.passage}]});
            let args = ["rerank", "--model", &file, "--json"];
            let hit = lanerank_with(&args, &request.to_string()).json()[0].clone();
            let logit = logit(&case.logits);
            let ours = hit["logit"].as_f64().unwrap();
            assert!(
                (ours - logit).abs() <= bound,
                "{variant} {dtype}: {ours} for {logit}"
            );
            let score = 1.0 / (1.0 + (-ours).exp());
            assert!((hit["score"].as_f64().unwrap() - score).abs() < 1e-6);
            let pair = json!([case.query, case.passage]);
            assert_eq!(ids(&file, max_length, &pair), case.ids, "{variant}");
        }
    }
}

fn check_texts(variant: &str) {
    let Expected { max_length, cases } = expected::<TextCase>(variant);
    assert!(cases.len() > 10);
    for (dtype, _, bound) in DTYPES {
        let (_place, file) = convert(variant, dtype);
        let lines: String = cases
            .iter()
            .map(|case| json!(case.text).to_string() + "\n")
            .collect();
        let vectors = lanerank_with(&["embed", "--model", &file], &lines);
        let vectors: Vec<Vec<f64>> = vectors
            .ok()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(vectors.len(), cases.len());
        for (case, ours) in cases.iter().zip(&vectors) {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let theirs = &case.embedding;
            let norms = (dot(ours, ours) * dot(theirs, theirs)).sqrt();
            let cosine = dot(ours, theirs) / norms;
            assert!(
                1.0 - cosine <= bound,
                "{variant} {dtype}: {cosine} for {:?}",
                case.text
            );
            let lengths = dot(ours, ours).sqrt() / dot(theirs, theirs).sqrt();
            assert!(
                (lengths - 1.0).abs() <= 2.0 * bound.sqrt(),
                "{variant} {dtype}: {lengths}"
            );
            assert_eq!(
                ids(&file, max_length, &json!(case.text)),
                case.ids,
                "{variant}"
            );
        }
    }
}

#[derive(Deserialize)]
struct Explained {
    query: String,
    passage: String,
    /// Start of a word in code points, and its effect on the logit.
    words: Vec<(usize, f64)>,
}

/// The words of `rerank --json --explain`, in the form of the goldens.
fn explain(file: &str, query: &str, passage: &str) -> Vec<(usize, f64)> {
    let request = json!({"query": query, "passages": [{"text": passage}]});
    let args = ["rerank", "--model", file, "--json", "--explain"];
    let hit = lanerank_with(&args, &request.to_string()).json()[0].clone();
    let (mut words, mut text) = (Vec::new(), String::new());
    for piece in hit["explanation"].as_array().unwrap() {
        let start = text.chars().count();
        text += piece["text"].as_str().unwrap();
        if let Some(effect) = piece["effect"].as_f64() {
            words.push((start, effect));
        }
    }
    assert_eq!(text, passage);
    words
}

/// Made by `tests/goldens/make_explain_goldens.py`.
#[test]
fn words_add_to_the_logit_what_torch_says() {
    for variant in ["old-names", "two-labels", "odd-heads", "multilingual"] {
        let (_place, file) = convert(variant, "f32");
        let text = std::fs::read_to_string(folder(variant).join("explained.json")).unwrap();
        let cases: Vec<Explained> = serde_json::from_str(&text).unwrap();
        assert!(cases.iter().map(|case| case.words.len()).sum::<usize>() > 60);
        for case in cases {
            let ours = explain(&file, &case.query, &case.passage);
            let starts =
                |words: &[(usize, f64)]| words.iter().map(|word| word.0).collect::<Vec<_>>();
            assert_eq!(
                starts(&ours),
                starts(&case.words),
                "{variant} {:?}",
                case.passage
            );
            for (ours, theirs) in ours.iter().zip(&case.words) {
                assert!(
                    (ours.1 - theirs.1).abs() < 1e-4,
                    "{variant}: {ours:?} for {theirs:?}"
                );
            }
        }
    }
}

#[test]
fn one_label_under_old_tensor_names() {
    check_pairs("old-names");
}

#[test]
fn texts_in_many_scripts() {
    check_pairs("multilingual");
}

#[test]
fn two_labels() {
    check_pairs("two-labels");
}

#[test]
fn one_layer_with_heads_of_an_odd_width() {
    check_pairs("odd-heads");
}

/// `tests/make_electra_goldens.py` made them.
#[test]
fn electra_with_projected_embeddings_and_without() {
    check_pairs("electra-small");
    check_pairs("electra-base");
}

/// `tests/make_xlm_roberta_goldens.py` made them.
#[test]
fn xlm_roberta() {
    check_pairs("xlm-roberta");
    check_pairs("xlm-roberta-2");
    check_texts("xlm-roberta-encoder");
}

#[test]
fn commands_know_xlm_roberta() {
    let (_place, file) = convert("xlm-roberta", "int8");
    let facts = lanerank(&["inspect", &file, "--json", "--check"]).json();
    assert_eq!(facts["config"]["architecture"], "xlm-roberta");
    assert_eq!(facts["tokenizer"]["kind"], "Unigram");
    assert_eq!(facts["tokenizer"]["split_whitespace"], true);
    let estimate = [
        "rerank",
        "-m",
        &file,
        "-q",
        "who is born free",
        "--estimate",
    ];
    assert!(lanerank_with(&estimate, "All are.").ok().contains("tokens"));
    let explain = ["rerank", "-m", &file, "-q", "who is born free", "--explain"];
    assert!(lanerank_with(&explain, "All are.").ok().contains("All"));
}

#[test]
fn a_mean_pooled_encoder() {
    check_texts("mean-pooled");
}

#[test]
fn an_encoder_of_the_first_token() {
    check_texts("cls-pooled");
}

#[test]
fn embed_reads_what_rerank_reads() {
    let (_place, file) = convert("mean-pooled", "int8");
    let embed = |input: &str| {
        let outcome = lanerank_with(&["embed", "--model", &file], input);
        outcome.ok().to_owned()
    };
    let json = embed("\"the lamp\"\n\"bread\"\n");
    assert_eq!(json.lines().count(), 2);
    for input in [
        "the lamp\n\nbread\n",
        "{\"text\": \"the lamp\"}\n{\"text\": \"bread\"}\n",
        "[\"the lamp\",\n \"bread\"]\n",
        "{\"query\": \"q\",\n \"passages\": [\"the lamp\", \"bread\"]}\n",
    ] {
        assert_eq!(embed(input), json, "{input}");
    }
}

#[test]
fn embed_says_which_line_is_wrong_and_what_it_needs() {
    let (_place, file) = convert("mean-pooled", "int8");
    let outcome = lanerank_with(&["embed", "--model", &file], "\"a\"\n\nnonsense\n");
    outcome.refused("standard input:3");
    let none = lanerank_with(&["embed", "--model", &file], "");
    assert_eq!(
        (none.ok(), none.stderr.as_str()),
        ("", "lanerank: standard input: no texts\n")
    );
    let (_place, file) = convert("old-names", "int8");
    lanerank_with(&["embed", "--model", &file], "\"a\"\n").refused("cross-encoder");
}
