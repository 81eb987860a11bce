//! Megabytes of passages per second on one thread. The texts are a few pages in the repository, or
//! your files with one passage per line:
//!
//!     LANERANK_BENCH_ENGLISH=english.txt LANERANK_BENCH_MULTILINGUAL=multilingual.txt \
//!         LANERANK_BENCH_VOCABS=vocabularies cargo bench --bench tokenizer
//!
//! `vocabularies` has the folders `bert-base-uncased` and `bert-base-multilingual-uncased`, each
//! with `vocab.txt`. `query-once` works like reranking: it tokenises the query once and reuses the
//! memory for ids. `pairs` works like `tokenizers`: it tokenises both texts each time, into new
//! memory.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lanerank::tokenizer::{Tokenizer, TokenizerConfig, TokenizerScratch};

/// Joins the lines of a text to passages of some hundred bytes.
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

struct Language {
    name: &'static str,
    text: Vec<String>,
    vocab: Vec<u8>,
    query: &'static str,
}

impl Language {
    /// The files named in the environment, or small ones.
    fn new(name: &'static str, vocab: [&str; 2], query: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tokenizer");
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let own = variable(&format!("LANERANK_BENCH_{}", name.to_uppercase()));
        let text = match &own {
            Some(path) => read(path).lines().map(str::to_owned).collect(),
            None => passages(&read(&folder.join(format!("udhr_{name}.txt")))),
        };
        let vocab = match variable("LANERANK_BENCH_VOCABS") {
            Some(path) => path.join(vocab[1]).join("vocab.txt"),
            None => folder.join(vocab[0]),
        };
        Language {
            name,
            text,
            vocab: read(&vocab).into_bytes(),
            query,
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bench_language(criterion: &mut Criterion, language: &Language) {
    let Language { text, query, .. } = language;
    let config = TokenizerConfig::bert_uncased();
    let tokenizer = Tokenizer::from_vocab_txt(&language.vocab, &config).expect("a good vocabulary");
    let bytes: usize = text.iter().map(String::len).sum();
    let mut group = criterion.benchmark_group(format!("tokenizer/{}", language.name));
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("query-once", |bencher| {
        let (mut scratch, mut ids) = (TokenizerScratch::new(), Vec::new());
        bencher.iter(|| {
            let mut tokens = tokenizer.tokenize_into(query, 509, &mut scratch, &mut Vec::new());
            for passage in text {
                ids.clear();
                tokens += tokenizer.tokenize_into(passage, 509, &mut scratch, &mut ids);
            }
            black_box(tokens)
        });
    });
    group.bench_function("pairs", |bencher| {
        bencher.iter(|| {
            for passage in text {
                black_box(tokenizer.encode_pair(query, passage, 512));
            }
        });
    });
    group.finish();
}

fn tokenizers(criterion: &mut Criterion) {
    let english = Language::new(
        "english",
        ["vocab.txt", "bert-base-uncased"],
        "how does the compiler check references and lifetimes",
    );
    let multilingual = Language::new(
        "multilingual",
        ["multilingual.txt", "bert-base-multilingual-uncased"],
        "\u{bf}qui\u{e9}n tiene derecho a la educaci\u{f3}n?",
    );
    bench_language(criterion, &english);
    bench_language(criterion, &multilingual);
}

criterion_group!(benches, tokenizers);
criterion_main!(benches);
