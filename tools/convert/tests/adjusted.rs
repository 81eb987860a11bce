//! Models whose files ask for other token types or another order of labels than lanerank's, against
//! transformers' logits (`make_token_type_goldens.py`, `make_model_goldens.py`).

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::{Model, Ranker};
use lanerank_convert::convert::{ConvertOptions, WeightDtype};
use lanerank_convert::import::{self, Options};
use serde_json::{Value, json};

fn data(name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    data.join(name)
}

/// A copy of a model folder with other keys in one of its files.
fn changed(model: &str, file: &str, keys: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(data(model)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join(file);
    let mut content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (key, value) in keys.as_object().unwrap() {
        content[key] = value.clone();
    }
    fs::write(path, content.to_string()).unwrap();
    folder
}

/// The ranker of a folder's model in f32, and the notes.
fn ranker(folder: &Path) -> (Ranker, String) {
    let mut source = import::open(folder, &Options::default()).unwrap();
    let options = ConvertOptions {
        dtype: WeightDtype::F32,
        ..ConvertOptions::default()
    };
    let file = source.convert(&options, &mut |_, _| ()).unwrap();
    let model = Model::from_bytes(&file).unwrap();
    let ranker = Ranker::builder().opened(model).build().unwrap();
    (ranker, source.notes.join("; "))
}

fn check(ranker: &Ranker, expected: &Path, logit: impl Fn(&[f64]) -> f64) {
    let expected: Value = serde_json::from_slice(&fs::read(expected).unwrap()).unwrap();
    let cases = expected["cases"].as_array().unwrap();
    assert!(cases.len() > 2);
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let logits = case["logits"].as_array().unwrap().iter();
        let logits: Vec<f64> = logits.map(|logit| logit.as_f64().unwrap()).collect();
        let theirs = logit(&logits);
        let passage = [text("passage")];
        let ours = f64::from(ranker.rerank(text("query"), &passage).unwrap()[0].logit);
        assert!(
            (ours - theirs).abs() <= 2e-5 * theirs.abs().max(1.0),
            "{case}: {ours}"
        );
    }
}

#[test]
fn a_tokenizer_without_token_types() {
    let names = json!({"model_input_names": ["input_ids", "attention_mask"]});
    let folder = changed("sources/model", "tokenizer_config.json", &names);
    let (ranker, notes) = ranker(folder.path());
    assert!(notes.contains("all token types are 0"), "{notes}");
    check(&ranker, &data("sources/one-type.json"), |logits| logits[0]);
}

#[test]
fn labels_named_the_other_way_round() {
    let names = json!({"id2label": {"0": "relevant", "1": "not_relevant"}});
    let expected = data("model/two-labels/expected.json");
    let folder = changed("model/two-labels", "config.json", &names);
    let (reversed, notes) = ranker(folder.path());
    assert!(notes.contains("label 0 is the relevant one"), "{notes}");
    check(&reversed, &expected, |logits| logits[0] - logits[1]);
    let names = json!({"id2label": {"0": "not_relevant", "1": "relevant"}});
    let folder = changed("model/two-labels", "config.json", &names);
    let (usual, notes) = ranker(folder.path());
    assert_eq!(notes, "");
    check(&usual, &expected, |logits| logits[1] - logits[0]);
}

/// `make_gguf_label_goldens.py` made the file.
#[test]
fn labels_of_a_gguf_file_named_the_other_way_round() {
    let (ranker, notes) = ranker(&data("sources/two-labels.gguf"));
    assert!(notes.contains("label 0 is the relevant one"), "{notes}");
    let expected = data("sources/two-labels.json");
    check(&ranker, &expected, |logits| logits[0] - logits[1]);
}

#[test]
fn what_a_file_cannot_say_is_refused_by_name() {
    for (file, keys, words) in [
        (
            "tokenizer_config.json",
            json!({"truncation_side": "left"}),
            "truncation_side: \"left\" is not supported",
        ),
        (
            "tokenizer_config.json",
            json!({"split_special_tokens": true}),
            "split_special_tokens: true is not supported",
        ),
        (
            "config.json",
            json!({"id2label": {"0": "yes", "1": "relevant"}}),
            "which one is relevant is not clear",
        ),
    ] {
        let folder = changed("model/two-labels", file, &keys);
        let error = import::open(folder.path(), &Options::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
}
