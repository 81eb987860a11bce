//! Tiny models of a golden folder, converted and scored, against transformers.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};

use lanerank::kernels::{Isa, Kernels};
use lanerank::model::{Architecture, Head};
use lanerank::{Model, Ranker};
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert};
use lanerank_convert::import::{self, Options, Source};
use serde::Deserialize;

/// A folder's `expected.json`.
#[derive(Deserialize)]
pub(crate) struct Expected<T> {
    pub(crate) max_length: usize,
    pub(crate) cases: Vec<T>,
}

/// A cross-encoder's case.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) query: String,
    pub(crate) passage: String,
    logits: Vec<f32>,
}

impl Case {
    fn logit(&self) -> f32 {
        match self.logits[..] {
            [no, yes] => yes - no,
            _ => self.logits[0],
        }
    }
}

pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data")
}

pub(crate) fn folder(variant: &str) -> PathBuf {
    data().join("model").join(variant)
}

pub(crate) fn expected<T: for<'a> Deserialize<'a>>(variant: &str) -> Expected<T> {
    let text = std::fs::read_to_string(folder(variant).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn open(variant: &str) -> Source {
    import::open(&folder(variant), &Options::default()).unwrap()
}

pub(crate) fn model(variant: &str, dtype: WeightDtype) -> Model {
    let mut source = open(variant);
    let options = ConvertOptions {
        dtype,
        ..ConvertOptions::default()
    };
    let (config, tokenizer) = (&source.config, &source.tokenizer);
    let tensors = &mut *source.tensors;
    let file = convert(config, tokenizer, tensors, &options, &mut |_, _| ()).unwrap();
    Model::from_bytes(&file).unwrap()
}

pub(crate) fn ranker(model: &Model, isa: Isa) -> Ranker {
    Ranker::builder()
        .opened(model.clone())
        .isa(isa)
        .build()
        .unwrap()
}

fn logit(ranker: &Ranker, case: &Case) -> f32 {
    ranker.rerank(&case.query, &[&case.passage]).unwrap()[0].logit
}

/// A cross-encoder's logits: those of transformers, in f32 within `bound`, and on every tier the
/// reference's.
pub(crate) fn check(variant: &str, architecture: Architecture, num_labels: usize, bound: f32) {
    let source = open(variant);
    assert!(source.notes.is_empty(), "{:?}", source.notes);
    assert_eq!(source.config.architecture, architecture);
    assert_eq!(source.config.head, Head::Classifier { num_labels });
    let Expected { max_length, cases } = expected::<Case>(variant);
    assert_eq!(source.config.max_length, max_length);
    assert!(cases.len() > 10);
    for (dtype, bound) in [
        (WeightDtype::F32, bound),
        (WeightDtype::F16, 3e-2),
        (WeightDtype::Int8, 1.5),
    ] {
        let model = model(variant, dtype);
        model.check(Kernels::best()).unwrap();
        let reference = ranker(&model, Isa::Reference);
        let all: Vec<f32> = cases.iter().map(|case| logit(&reference, case)).collect();
        for (case, ours) in cases.iter().zip(&all) {
            let theirs = case.logit();
            assert!(
                (ours - theirs).abs() <= bound * theirs.abs().max(1.0),
                "{variant} {dtype}: {ours} for {theirs}"
            );
        }
        for tier in Kernels::available() {
            let ranker = ranker(&model, tier.isa());
            for (case, expected) in cases.iter().zip(&all) {
                let ours = logit(&ranker, case);
                if dtype == WeightDtype::Int8 {
                    assert_eq!(ours.to_bits(), expected.to_bits(), "{}", tier.isa());
                } else {
                    let bound = 1e-4 * expected.abs().max(1.0);
                    assert!((ours - expected).abs() <= bound, "{}", tier.isa());
                }
            }
        }
    }
}
