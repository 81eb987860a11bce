//! Megabytes of text a second, one thread: single texts and (query, passage) pairs.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank::tokenizer::{Tokenizer, TokenizerConfig, TokenizerScratch};

/// Lines of a text, put together to passages of some hundred bytes.
fn passages(text: &str) -> Vec<String> {
    let mut passages = vec![String::new()];
    for line in text.lines() {
        if passages.last().is_some_and(|passage| passage.len() > 600) {
            passages.push(String::new());
        }
        let passage = passages.last_mut().expect("never empty");
        passage.push_str(line);
        passage.push(' ');
    }
    passages
}

fn bench_language(criterion: &mut Criterion, language: &str, vocab: &str, query: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer");
    let vocab = std::fs::read(folder.join(vocab)).expect("vocabulary in the repository");
    let text = std::fs::read_to_string(folder.join(format!("udhr_{language}.txt")))
        .expect("text in the repository");
    let tokenizer = Tokenizer::from_vocab_txt(&vocab, &TokenizerConfig::bert_uncased())
        .expect("a good vocabulary");
    let passages = passages(&text);
    let bytes: usize = passages.iter().map(String::len).sum();
    let mut group = criterion.benchmark_group(format!("tokenizer/{language}"));

    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("single", |bencher| {
        let (mut scratch, mut ids) = (TokenizerScratch::new(), Vec::new());
        bencher.iter(|| {
            for passage in &passages {
                ids.clear();
                black_box(tokenizer.tokenize_into(passage, usize::MAX, &mut scratch, &mut ids));
            }
        });
    });
    group.throughput(Throughput::Bytes(
        (bytes + passages.len() * query.len()) as u64,
    ));
    group.bench_function("pairs", |bencher| {
        bencher.iter(|| {
            for passage in &passages {
                black_box(tokenizer.encode_pair(query, passage, 512));
            }
        });
    });
    group.finish();
}

fn tokenizers(criterion: &mut Criterion) {
    bench_language(
        criterion,
        "english",
        "vocab.txt",
        "who has the right to an education?",
    );
    bench_language(
        criterion,
        "multilingual",
        "multilingual.txt",
        "¿quién tiene derecho a la educación?",
    );
}

criterion_group!(benches, tokenizers);
criterion_main!(benches);
