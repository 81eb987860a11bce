//! ELECTRA cross-encoders, converted and scored, against transformers' logits
//! (`make_electra_goldens.py` made both).

use std::path::{Path, PathBuf};

use lanerank::kernels::{Isa, Kernels};
use lanerank::model::{Architecture, Head};
use lanerank::{Model, Ranker};
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert};
use lanerank_convert::import::{self, Options, Source};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    query: String,
    passage: String,
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

fn folder(variant: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/model");
    data.join(variant)
}

fn open(variant: &str) -> Source {
    import::open(&folder(variant), &Options::default()).unwrap()
}

fn model(variant: &str, dtype: WeightDtype) -> Model {
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

fn logit(ranker: &Ranker, case: &Case) -> f32 {
    ranker.rerank(&case.query, &[&case.passage]).unwrap()[0].logit
}

fn check(variant: &str, embedding_size: usize, num_labels: usize) {
    let source = open(variant);
    assert!(source.notes.is_empty(), "{:?}", source.notes);
    assert_eq!(
        source.config.architecture,
        Architecture::Electra { embedding_size }
    );
    assert_eq!(source.config.head, Head::Classifier { num_labels });
    let text = std::fs::read_to_string(folder(variant).join("expected.json")).unwrap();
    let Expected { cases } = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 10);
    for (dtype, bound) in [
        (WeightDtype::F32, 2e-5),
        (WeightDtype::F16, 3e-2),
        (WeightDtype::Int8, 1.5),
    ] {
        let model = model(variant, dtype);
        model.check(Kernels::best()).unwrap();
        let of = |isa| {
            let builder = Ranker::builder().opened(model.clone());
            builder.isa(isa).build().unwrap()
        };
        let reference = of(Isa::Reference);
        let expected: Vec<f32> = cases.iter().map(|case| logit(&reference, case)).collect();
        for (case, ours) in cases.iter().zip(&expected) {
            let theirs = case.logit();
            assert!(
                (ours - theirs).abs() <= bound * theirs.abs().max(1.0),
                "{variant} {dtype}: {ours} for {theirs}"
            );
        }
        for tier in Kernels::available() {
            let ranker = of(tier.isa());
            for (case, expected) in cases.iter().zip(&expected) {
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

#[test]
fn projected_embeddings_in_safetensors() {
    check("electra-small", 20, 1);
}

#[test]
fn two_labels_in_a_pytorch_file() {
    check("electra-base", 32, 2);
}
