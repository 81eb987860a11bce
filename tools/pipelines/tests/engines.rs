//! The search engines, and the use of their results, on the small collection.

mod common;

use std::fs;
use std::path::Path;

use lanerank::{Encoder, Fusion, Ranker, fuse};
use lanerank_pipelines::arguments::SMALL;
use lanerank_pipelines::collection::{Collection, Document};
use lanerank_pipelines::first_stage::{FirstStage, Found};
use lanerank_pipelines::hybrid::Hybrid;
use lanerank_pipelines::lexical::Lexical;
use lanerank_pipelines::measure;
use lanerank_pipelines::semantic::Semantic;
use lanerank_pipelines::sqlite::Sqlite;
use lanerank_pipelines::vectors::{Cache, Vectors};

use common::tiny_encoder_file;

/// The first questions of the collection in the repository.
pub fn small(limit: usize) -> Collection {
    Collection::open(SMALL.as_ref(), Some(limit)).unwrap()
}

fn tiny_encoder() -> Encoder {
    let builder = Encoder::builder().model(tiny_encoder_file());
    builder.build().unwrap()
}

fn vectors(folder: &Path, documents: &[Document]) -> Vectors {
    let cache = Cache {
        folder,
        encoder_file: &tiny_encoder_file(),
    };
    cache.vectors(&tiny_encoder(), documents).unwrap()
}

fn semantic(collection: &Collection) -> Semantic {
    let folder = tempfile::tempdir().unwrap();
    let vectors = vectors(folder.path(), &collection.documents);
    Semantic::index(tiny_encoder(), &vectors).unwrap()
}

/// Runs a check on every first stage.
fn with_each(collection: &Collection, check: impl Fn(&str, &dyn FirstStage)) {
    let lexical = Lexical::index(&collection.documents).unwrap();
    let semantic = semantic(collection);
    check("lexical", &lexical);
    check("sqlite", &Sqlite::index(&collection.documents).unwrap());
    check("hybrid", &Hybrid(vec![&lexical, &semantic]));
    check("semantic", &semantic);
}

fn documents(found: &[Found]) -> Vec<usize> {
    found.iter().map(|f| f.document).collect()
}

#[test]
fn scores_are_the_rankers_and_blends_the_librarys() {
    let (collection, ranker) = (small(3), Ranker::new().unwrap());
    with_each(&collection, |name, engine| {
        for (_, query) in &collection.queries {
            let found = engine.retrieve(query, 30).unwrap();
            assert!(!found.is_empty(), "{name}: {query}");
            let texts: Vec<&str> = found.iter().map(|f| collection.text(f.document)).collect();
            let first: Vec<f32> = found.iter().map(|f| f.score).collect();
            let scores = ranker.scores(query, &texts).unwrap();
            let mut hits = measure::rerank(&ranker, &collection, query, &found).unwrap();
            let blend = |hit: &lanerank::Hit| hit.fused.unwrap();
            assert!(
                hits.windows(2).all(|w| blend(&w[0]) >= blend(&w[1])),
                "{name}"
            );
            hits.sort_by_key(|hit| hit.index);
            let logits: Vec<f32> = hits.iter().map(|hit| hit.logit).collect();
            let blended = fuse(&logits, &first, Fusion::ZScore { weight: 0.5 }).unwrap();
            assert_eq!(hits.len(), found.len());
            for (hit, (score, blended)) in hits.iter().zip(scores.iter().zip(blended)) {
                assert_eq!(hit.score.to_bits(), score.to_bits(), "{name}");
                assert_eq!(blend(hit).to_bits(), blended.to_bits(), "{name}");
            }
        }
    });
}

#[test]
fn best_first_each_once_and_no_more_than_asked_for() {
    let collection = small(5);
    with_each(&collection, |name, engine| {
        for (_, query) in &collection.queries {
            let all = engine.retrieve(query, usize::MAX).unwrap();
            assert!(all.windows(2).all(|w| w[0].score >= w[1].score), "{name}");
            let mut numbers = documents(&all);
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), all.len(), "{name}");
            assert!(numbers.last() < Some(&collection.documents.len()), "{name}");
            assert!(engine.retrieve(query, 7).unwrap().len() <= 7, "{name}");
            assert!(engine.retrieve(query, 0).unwrap().is_empty(), "{name}");
            assert_eq!(
                engine.retrieve(query, 7).unwrap(),
                engine.retrieve(query, 7).unwrap()
            );
        }
    });
}

#[test]
fn lexical_search_finds_the_right_paragraphs() {
    let collection = small(60);
    let ranker = Ranker::new().unwrap();
    let lexical = Lexical::index(&collection.documents).unwrap();
    let sqlite = Sqlite::index(&collection.documents).unwrap();
    for engine in [&lexical as &dyn FirstStage, &sqlite] {
        let measured = measure::run(engine, &ranker, &collection, 20, None).unwrap();
        let [retrieved, reranked, blended] = measured.ndcg;
        assert!(
            retrieved > 0.9 && reranked > 0.9 && blended > 0.9,
            "{measured:?}"
        );
    }
}

#[test]
fn a_query_has_no_syntax() {
    let collection = small(1);
    let lexical = Lexical::index(&collection.documents).unwrap();
    let sqlite = Sqlite::index(&collection.documents).unwrap();
    for engine in [&lexical as &dyn FirstStage, &sqlite] {
        let plain = engine.retrieve("panthers defense", 10).unwrap();
        assert_eq!(plain[0].document, 0);
        for query in [
            "\"panthers\" (defense",
            "panthers* ^defense",
            "{panthers} : -defense'",
            "panthers\0defense",
            "+panthers ~ [defense]; --",
            "Panthers\u{2026} DEFENSE?",
        ] {
            assert_eq!(engine.retrieve(query, 10).unwrap(), plain, "{query:?}");
        }
        for query in [
            "\"AND ( *",
            "NEAR(a b, 3)",
            "text:panthers OR",
            "NOT",
            "rowid:1 AND",
        ] {
            engine.retrieve(query, 10).unwrap();
        }
        for query in [
            "",
            "  \n",
            "\"",
            "( * ) ^ : -",
            "\0",
            "\u{1f600}",
            "zzzzqqqq",
        ] {
            assert!(engine.retrieve(query, 10).unwrap().is_empty(), "{query:?}");
        }
    }
}

#[test]
fn long_queries_are_answered() {
    let collection = small(1);
    let words: Vec<String> = (0..20_000).map(|i| format!("w{i}")).collect();
    let query = format!(
        "panthers defense {} {}",
        words.join(" "),
        "x".repeat(100_000)
    );
    with_each(&collection, |name, engine| {
        let found = engine.retrieve(&query, 10).unwrap();
        assert!(!found.is_empty(), "{name}");
        if matches!(name, "lexical" | "sqlite") {
            assert_eq!(found[0].document, 0, "{name}");
        }
    });
}

#[test]
fn one_sql_statement_is_retrieval_and_the_ranker() {
    let (collection, ranker) = (small(3), Ranker::new().unwrap());
    let sqlite = Sqlite::index(&collection.documents).unwrap();
    for (_, query) in &collection.queries {
        let mut expected = sqlite.retrieve(query, 20).unwrap();
        for found in &mut expected {
            found.score = ranker
                .scores(query, &[collection.text(found.document)])
                .unwrap()[0];
        }
        expected.sort_by(|a, b| {
            b.score
                .total_cmp(&a.score)
                .then(a.document.cmp(&b.document))
        });
        assert_eq!(sqlite.retrieve_and_rerank(query, 20).unwrap(), expected);
    }
    assert!(sqlite.retrieve_and_rerank("( *", 20).unwrap().is_empty());
}

#[test]
fn the_vector_index_agrees_with_comparing_every_pair() {
    let collection = small(5);
    let (semantic, encoder) = (semantic(&collection), tiny_encoder());
    let texts: Vec<&str> = collection
        .documents
        .iter()
        .map(|d| d.text.as_str())
        .collect();
    let vectors = encoder.encode(&texts).unwrap();
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    for (_, query) in &collection.queries {
        let vector = &encoder.encode(&[query]).unwrap()[0];
        let cosine = |v: &[f32]| dot(v, vector) / (dot(v, v) * dot(vector, vector)).sqrt();
        let mut cosines: Vec<f64> = vectors.iter().map(|v| cosine(v)).collect();
        for found in semantic.retrieve(query, 20).unwrap() {
            let off = f64::from(found.score) - cosines[found.document];
            assert!(off.abs() < 1e-5, "{off}");
        }
        cosines.sort_by(|a, b| b.total_cmp(a));
        let exact = semantic.retrieve_exactly(query, 20).unwrap();
        let approximate = semantic.retrieve(query, 20).unwrap();
        assert_eq!((exact.len(), approximate.len()), (20, 20));
        for (found, cosine) in exact.iter().zip(&cosines) {
            assert!((f64::from(found.score) - cosine).abs() < 1e-5);
        }
        let agreed = exact
            .iter()
            .filter(|f| documents(&approximate).contains(&f.document));
        assert!(agreed.count() >= 18);
    }
}

#[test]
fn vectors_are_computed_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("made/when/missing");
    let mut documents = small(1).documents;
    documents.truncate(10);
    let computed = vectors(&cache, &documents);
    let files = || {
        let files = fs::read_dir(&cache).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    };
    let [file] = &files()[..] else {
        panic!("{:?}", files());
    };
    let written = fs::metadata(file).unwrap().modified().unwrap();
    assert_eq!(vectors(&cache, &documents), computed);
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written);

    // A damaged file is written again.
    let whole = fs::read(file).unwrap();
    fs::write(file, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(vectors(&cache, &documents), computed);
    assert_eq!(fs::read(file).unwrap(), whole);

    // Another text is another collection.
    documents[0].text.push('!');
    vectors(&cache, &documents);
    assert_eq!(files().len(), 2);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let cache = Cache {
        folder: &file.join("cache"),
        encoder_file: &tiny_encoder_file(),
    };
    let error = cache
        .vectors(&tiny_encoder(), &small(1).documents)
        .unwrap_err();
    assert!(
        error.to_string().starts_with(&file.display().to_string()),
        "{error}"
    );
}

/// A real encoder, such as all-MiniLM-L6-v2, finds the right documents.
#[test]
fn a_real_encoder_finds_the_right_paragraphs() {
    let Some(file) = std::env::var_os("LANERANK_ENCODER") else {
        eprintln!("LANERANK_ENCODER names no sentence encoder: SKIPPED");
        return;
    };
    let (collection, ranker) = (small(60), Ranker::new().unwrap());
    let encoder = Encoder::builder().model(&file).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache {
        folder: folder.path(),
        encoder_file: file.as_ref(),
    };
    let vectors = cache.vectors(&encoder, &collection.documents).unwrap();
    let semantic = Semantic::index(encoder, &vectors).unwrap();
    let lexical = Lexical::index(&collection.documents).unwrap();
    let hybrid = Hybrid(vec![&lexical, &semantic]);
    for engine in [&semantic as &dyn FirstStage, &hybrid] {
        let measured = measure::run(engine, &ranker, &collection, 20, None).unwrap();
        assert!(
            measured.ndcg.iter().all(|&ndcg| ndcg > 0.85),
            "{measured:?}"
        );
    }
}
