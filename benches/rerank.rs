//! Whole requests, from strings to sorted hits:
//! `rerank/{model}/{dtype}/{tier}/{threads}/{request}`. The models are the embedded one and random
//! weights in the shapes of published models.
//!
//!     cargo bench --bench rerank
//!     LANERANK_BENCH_WORKLOAD=../shared/peers/workload.json cargo bench --bench rerank
//!
//! Speed does not depend on the weights. The requests are built in, or read from a JSON file
//! `{"name": {"query": "...", "passages": ["...", ...]}, ...}`.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank::kernels::{Isa, Kernels};
use lanerank::model::ModelConfig;
use lanerank::tokenizer::TokenizerConfig;
use lanerank::{Model, Ranker, Tokenizer};
use lanerank_bench::random_model::{self, cross_encoder};
use lanerank_bench::workload::Request;
use lanerank_convert::convert::{ConvertOptions, WeightDtype};
use lanerank_testing::models::passages;

fn requests() -> BTreeMap<String, Request> {
    if let Ok(path) = std::env::var("LANERANK_BENCH_WORKLOAD") {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        return serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    let request = |count, seed| Request {
        query: "how do i keep the bread fresh".into(),
        passages: passages(count, seed),
    };
    [("small", request(5, 1)), ("hundred", request(100, 2))]
        .map(|(name, request)| (name.to_owned(), request))
        .into()
}

fn vocabulary() -> Tokenizer {
    let real = include_bytes!("../tests/data/tokenizer/vocab.txt");
    Tokenizer::from_vocab_txt(real, &TokenizerConfig::bert_uncased()).unwrap()
}

fn model(config: &ModelConfig, dtype: WeightDtype) -> Model {
    let options = ConvertOptions {
        dtype,
        ..ConvertOptions::default()
    };
    random_model::model(config, &vocabulary(), &options).unwrap()
}

fn bench_requests(
    c: &mut Criterion,
    name: &str,
    model: &Model,
    (tier, threads): (&Kernels, usize),
    requests: &BTreeMap<String, Request>,
) {
    let builder = Ranker::builder().opened(model.clone()).isa(tier.isa());
    let ranker = builder.threads(threads).build().unwrap();
    let mut group = c.benchmark_group(format!("rerank/{name}/{}/{threads}", tier.isa()));
    group.sample_size(10);
    for (label, request) in requests {
        group.throughput(Throughput::Elements(request.passages.len() as u64));
        group.bench_function(label, |b| {
            b.iter(|| ranker.rerank(black_box(&request.query), &request.passages));
        });
    }
    group.finish();
}

fn rerank(c: &mut Criterion) {
    let tinybert = cross_encoder(2, 128, 2);
    let minilm12 = cross_encoder(12, 384, 12);
    let requests = requests();
    let best = Kernels::best();
    #[cfg(feature = "embedded-model")]
    {
        let model = Model::embedded().unwrap();
        bench_requests(c, "embedded/int8", &model, (best, 1), &requests);
    }
    for dtype in [WeightDtype::Int8, WeightDtype::F16, WeightDtype::F32] {
        let (name, model) = (format!("tinybert/{dtype}"), model(&tinybert, dtype));
        for tier in Kernels::available().filter(|tier| tier.isa() != Isa::Reference) {
            bench_requests(c, &name, &model, (tier, 1), &requests);
        }
        if cfg!(feature = "rayon") {
            bench_requests(c, &name, &model, (best, 2), &requests);
        }
    }
    let model = model(&minilm12, WeightDtype::Int8);
    bench_requests(c, "minilm12/int8", &model, (best, 1), &requests);
}

criterion_group!(benches, rerank);
criterion_main!(benches);
