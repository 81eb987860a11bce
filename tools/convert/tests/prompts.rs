//! Models with prompts, against sentence-transformers (`make_prompt_goldens.py`).

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::tokenizer::{Prompts, Role, TokenizerScratch};
use lanerank::{Encoder, Model, Ranker, RerankOptions};
use lanerank_convert::convert::{ConvertOptions, WeightDtype};
use lanerank_convert::import::{self, Options};
use serde_json::{Value, json};

const FILE: &str = "config_sentence_transformers.json";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(name)
}

/// A copy of a model folder with one more file.
fn with_file(model: &str, file: &str, content: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&data(model), folder.path());
    fs::write(folder.path().join(file), content.to_string()).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.unwrap().file_name()),
        );
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// The folder's model in f32.
fn model(folder: &Path) -> Model {
    let mut source = import::open(folder, &Options::default()).unwrap();
    let options = ConvertOptions {
        dtype: WeightDtype::F32,
        ..ConvertOptions::default()
    };
    let file = source.convert(&options, &mut |_, _| ()).unwrap();
    // The file alone says what goes before a text, and its self-test agrees.
    let model = Model::from_bytes(&file).unwrap();
    model.check(lanerank::kernels::Kernels::best()).unwrap();
    model
}

fn goldens(name: &str) -> Vec<Value> {
    let text = fs::read(data("prompts").join(name)).unwrap();
    let groups: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert!(groups.len() > 3);
    groups
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap().iter();
    list.map(|x| x.as_f64().unwrap()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn an_encoder_puts_its_prompts_before_texts() {
    for group in goldens("encoder.json") {
        let folder = with_file("model/mean-pooled", FILE, &group["file"]);
        let model = model(folder.path());
        let ranker = Ranker::builder().opened(model.clone()).build().unwrap();
        let encoder = Encoder::builder().opened(model).build().unwrap();
        for case in group["cases"].as_array().unwrap() {
            let text = |key: &str| case[key].as_str().unwrap();
            let [query, passage, theirs] =
                ["query_vector", "passage_vector", "text_vector"].map(|key| numbers(&case[key]));
            let ours = &encoder.encode(&[text("passage")]).unwrap()[0];
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!(
                    (f64::from(*ours) - theirs).abs() < 2e-6,
                    "{}",
                    group["file"]
                );
            }
            let hit = &ranker.rerank(text("query"), &[text("passage")]).unwrap()[0];
            let wanted = cosine(&query, &passage);
            let off = (f64::from(hit.logit) - wanted).abs();
            assert!(off < 2e-6, "{}: {} for {wanted}", group["file"], hit.logit);
        }
    }
}

#[test]
fn a_cross_encoder_puts_its_default_prompt_before_the_query() {
    for group in goldens("cross-encoder.json") {
        let folder = with_file("model/old-names", FILE, &group["file"]);
        fs::write(folder.path().join("modules.json"), "[]").unwrap();
        let ranker = Ranker::builder()
            .opened(model(folder.path()))
            .build()
            .unwrap();
        let options = RerankOptions::default();
        for case in group["cases"].as_array().unwrap() {
            let (query, passage) = (case["query"].as_str().unwrap(), case["passage"].as_str());
            let passages = [passage.unwrap()];
            let wanted = case["logit"].as_f64().unwrap();
            let read = ranker.read_query(query, &options);
            let explained = ranker.explain(query, passages[0], &options).unwrap();
            for logit in [
                ranker.rerank(query, &passages).unwrap()[0].logit,
                ranker
                    .rerank_query(&read, &passages, &options)
                    .unwrap()
                    .hits[0]
                    .logit,
                explained.logit,
            ] {
                let off = (f64::from(logit) - wanted).abs();
                assert!(off <= 2e-5 * wanted.abs().max(1.0), "{case}: {logit}");
            }
        }
    }
}

#[test]
fn counts_and_estimates_include_the_prompt() {
    let file = json!({"prompts": {"query": "a b c ", "document": "d e "}});
    let folder = with_file("model/mean-pooled", FILE, &file);
    let model = model(folder.path());
    let tokenizer = model.tokenizer().clone();
    let wanted = Prompts {
        query: "a b c ".into(),
        passage: "d e ".into(),
        text: String::new(),
    };
    assert_eq!(tokenizer.prompts(), &wanted);
    let scratch = &mut TokenizerScratch::new();
    let counts = [Role::Query, Role::Passage, Role::Text];
    assert_eq!(
        counts.map(|role| tokenizer.count_as(role, "x y", scratch)),
        [5, 4, 2]
    );
    let ranker = Ranker::builder().opened(model).build().unwrap();
    let options = RerankOptions::default();
    assert_eq!(ranker.read_query("x", &options).tokens(), 4);
    let estimate = ranker.estimate("x", &["x y", "z"], &options).unwrap();
    assert_eq!(estimate.tokens, (2 + 4) + (2 + 3));
    // 48 tokens are read: two special ones, the prompt's two and 44 of the passage's 60.
    let long = "x ".repeat(60);
    let hit = &ranker.rerank_with("x", &[&long], &options).unwrap().hits[0];
    assert_eq!(hit.truncation.passage_tokens, 60 - 44);
}

#[test]
fn a_prompt_that_is_not_pooled_is_refused() {
    let file = json!({"prompts": {"query": "a "}});
    let folder = with_file("model/mean-pooled", FILE, &file);
    let pooling = folder.path().join("1_Pooling/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&pooling).unwrap()).unwrap();
    config["include_prompt"] = json!(false);
    fs::write(pooling, config.to_string()).unwrap();
    let refused = import::open(folder.path(), &Options::default());
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("include_prompt"), "{error}");
    fs::remove_file(folder.path().join(FILE)).unwrap();
    assert!(import::open(folder.path(), &Options::default()).is_ok());
}
