//! Opening model files, with and without checksums: the embedded model, and random int8 weights in
//! the shapes of published models.
//!
//!     cargo bench -p lanerank-cli --bench open
//!
//! The files have just been written, so they are in the page cache.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank::format::storage::AlignedBytes;
use lanerank::model::ModelConfig;
use lanerank::tokenizer::TokenizerConfig;
use lanerank::{Model, Tokenizer, Verify};
use lanerank_bench::random_model::{self, cross_encoder};
use lanerank_cli::commands::map;
use lanerank_convert::convert::ConvertOptions;

fn file(config: &ModelConfig) -> AlignedBytes {
    let vocab = include_bytes!("../../../tests/data/tokenizer/vocab.txt");
    let tokenizer = Tokenizer::from_vocab_txt(vocab, &TokenizerConfig::bert_uncased()).unwrap();
    random_model::file(config, &tokenizer, &ConvertOptions::default()).unwrap()
}

fn bench_file(criterion: &mut Criterion, name: &str, config: &ModelConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.lane");
    let bytes = file(config);
    std::fs::write(&path, &*bytes).unwrap();
    let mut group = criterion.benchmark_group(format!("open/{name}"));
    group.sample_size(20);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    for (label, verify) in [("structure", Verify::Structure), ("all", Verify::All)] {
        group.bench_function(format!("map/{label}"), |bencher| {
            bencher.iter(|| map(&path, verify).unwrap());
        });
    }
    group.bench_function("read/all", |bencher| {
        bencher.iter(|| Model::open(&path).unwrap());
    });
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    criterion.bench_function("open/embedded/structure", |bencher| {
        bencher.iter(|| Model::embedded().unwrap());
    });
    bench_file(criterion, "tinybert", &cross_encoder(2, 128, 2));
    bench_file(criterion, "minilm12", &cross_encoder(12, 384, 12));
}

criterion_group!(benches, opening);
criterion_main!(benches);
