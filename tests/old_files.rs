//! Model files of every release open for ever, and score as they did: `data/format`.

use std::fs;
use std::path::Path;

use lanerank::kernels::Kernels;
use lanerank::{Model, Ranker};
use serde_json::Value;

/// Tiers differ by less than this where a file holds floats.
const TOLERANCE: f32 = 1e-4;

#[test]
fn files_of_every_release_open_and_score_as_they_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "lane"))
        .collect();
    names.sort();
    assert!(names.len() >= 4, "files are missing: {names:?}");
    for path in names {
        let golden = fs::read_to_string(path.with_extension("json")).unwrap();
        let golden: Value = serde_json::from_str(&golden).unwrap();
        let list = |name: &str| golden[name].as_array().unwrap().clone();
        let passages = list("passages");
        let passages: Vec<&str> = passages.iter().map(|p| p.as_str().unwrap()).collect();
        let expected: Vec<f32> = list("scores")
            .iter()
            .map(|score| score.as_f64().unwrap() as f32)
            .collect();
        assert!(passages.len() == expected.len() && !expected.is_empty());
        for kernels in Kernels::available() {
            let model = Model::open(&path).unwrap();
            model.check(kernels).unwrap();
            let ranker = Ranker::builder()
                .opened(model)
                .isa(kernels.isa())
                .build()
                .unwrap();
            let scores = ranker
                .scores(golden["query"].as_str().unwrap(), &passages)
                .unwrap();
            let at = format!("{} on {}", path.display(), kernels.isa());
            for (score, expected) in scores.into_iter().zip(&expected) {
                if golden["exact"].as_bool().unwrap() {
                    assert_eq!(score.to_bits(), expected.to_bits(), "{at}");
                } else {
                    assert!(
                        (score - expected).abs() < TOLERANCE,
                        "{at}: {score} {expected}"
                    );
                }
            }
        }
    }
}
