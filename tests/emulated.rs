//! Whole models on emulated tiers (`kernels/emulator`) give the same bits as on other tiers. A
//! separate program, so that other tests do not select an emulated tier.

use lanerank::kernels::{Isa, Kernels};
use lanerank::model::{ModelConfig, Pooling};
use lanerank::{Model, Ranker};
use lanerank_convert::convert::WeightDtype;
use lanerank_emulator::emulate_missing_tiers;
use lanerank_testing::models::{classifier, encoder, model, passages};

const QUERY: &str = "how do i keep the bread fresh ?";

fn bits(model: &Model, isa: Isa, threads: usize, passages: &[String]) -> Vec<u32> {
    let threads = if cfg!(feature = "rayon") { threads } else { 1 };
    let ranker = Ranker::builder()
        .opened(model.clone())
        .isa(isa)
        .threads(threads)
        .build()
        .unwrap();
    let scores = ranker.scores(QUERY, passages).unwrap();
    scores.into_iter().map(f32::to_bits).collect()
}

/// The tiers that may need emulation.
fn tiers() -> impl Iterator<Item = Isa> {
    emulate_missing_tiers();
    let tiers = Kernels::available().map(Kernels::isa);
    tiers.filter(|isa| matches!(isa, Isa::AvxVnni | Isa::AmxInt8))
}

#[test]
fn tiny_models() {
    let odd = ModelConfig {
        hidden_size: 52,
        num_attention_heads: 2,
        intermediate_size: 83,
        ..classifier(2)
    };
    let texts = passages(8, 11);
    for config in [classifier(1), odd, encoder(Pooling::Mean)] {
        let model = model(&config, WeightDtype::Int8);
        let expected = bits(&model, Isa::Reference, 1, &texts);
        for isa in tiers() {
            let scores = bits(&model, isa, 3, &texts);
            assert_eq!(scores, expected, "{isa}, {config:?}");
        }
    }
}

#[cfg(feature = "embedded-model")]
#[test]
fn the_default_model() {
    let model = Model::embedded().unwrap();
    let texts = [
        "a paper bag in a box keeps it longest".to_owned(),
        "the lighthouse was built in 1847".to_owned(),
    ];
    let expected = bits(&model, Isa::Reference, 1, &texts);
    for isa in tiers() {
        assert_eq!(bits(&model, isa, 1, &texts), expected, "{isa}");
    }
    if let Ok(tier) = Kernels::for_isa(Isa::AmxInt8) {
        assert_eq!(model.check(tier).unwrap().max_difference, 0.0);
    }
}
