//! From a model file to a model, with and without its checksums: the embedded one, and seeded random
//! weights in int8 of the published models' shapes.
//!
//!     cargo bench -p lanerank-cli --bench open
//!
//! The file has just been written, so it is in the page cache.

#[path = "../../../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank::format::storage::AlignedBytes;
use lanerank::model::{Activation, Architecture, Head, ModelConfig};
use lanerank::tokenizer::TokenizerConfig;
use lanerank::{Model, Tokenizer, Verify};
use lanerank_cli::commands::map;
use lanerank_convert::convert::{ConvertOptions, convert};

fn shape(layers: usize, hidden: usize, heads: usize) -> ModelConfig {
    ModelConfig {
        architecture: Architecture::Bert,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        intermediate_size: 4 * hidden,
        vocab_size: 30522,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        hidden_act: Activation::Gelu,
        layer_norm_eps: 1e-12,
        head: Head::Classifier { num_labels: 1 },
        max_length: 512,
    }
}

fn file(config: &ModelConfig) -> AlignedBytes {
    let vocab = include_bytes!("../../../tests/data/tokenizer/vocab.txt");
    let tokenizer = Tokenizer::from_vocab_txt(vocab, &TokenizerConfig::bert_uncased()).unwrap();
    let options = ConvertOptions::default();
    let mut source = common::source(config, 1);
    convert(config, &tokenizer, &mut source, &options, &mut |_, _| {}).unwrap()
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
    #[cfg(feature = "embedded-model")]
    criterion.bench_function("open/embedded/structure", |bencher| {
        bencher.iter(|| Model::embedded().unwrap());
    });
    bench_file(criterion, "tinybert", &shape(2, 128, 2));
    bench_file(criterion, "minilm12", &shape(12, 384, 12));
}

criterion_group!(benches, opening);
criterion_main!(benches);
