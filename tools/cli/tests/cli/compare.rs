use std::fmt::Write;

use serde_json::{Value, json};

use super::support::*;

/// 4 queries and 12 documents that the tiny model scores differently.
fn collection(tiny: &Tiny) -> String {
    let words = ["bread", "fresh", "lamp", "the", "is", "stone", "river"];
    let text_of = |i: usize| {
        (0..=i % 5)
            .map(|j| words[(i * 3 + j * (i + 1)) % 7])
            .collect::<Vec<_>>()
            .join(" ")
    };
    let line = |id: String, i| json!({"_id": id, "text": text_of(i)}).to_string() + "\n";
    let lines = |prefix: &str, count| {
        (0..count)
            .map(|i| line(format!("{prefix}{i}"), i))
            .collect::<String>()
    };
    tiny.write("data/corpus.jsonl", lines("d", 12));
    tiny.write("data/queries.jsonl", lines("q", 4));
    let (mut qrels, mut run) = (String::new(), String::new());
    for query in 0..4 {
        writeln!(qrels, "q{query}\td{}\t1", query * 2).unwrap();
        for document in 0..12 {
            writeln!(run, "q{query} Q0 d{document} 0 {} t", 12 - document).unwrap();
        }
    }
    tiny.write("data/qrels.tsv", qrels);
    tiny.write("data/run.bm25.trec", run);
    text(&tiny.path("data"))
}

/// The tiny model in two dtypes.
fn models(tiny: &Tiny) -> (String, String) {
    let f32 = text(&tiny.path("f32.lane"));
    tiny.convert(&["--dtype", "f32"]).ok();
    std::fs::rename(tiny.path("out.lane"), &f32).unwrap();
    (f32, tiny.model())
}

fn compare(tiny: &Tiny, a: &str, b: &str, more: &[&str]) -> Outcome {
    let data = collection(tiny);
    let args = ["compare", a, b, "--on", &data];
    lanerank(&[&args[..], more].concat())
}

#[test]
fn a_model_does_not_differ_from_itself() {
    let tiny = Tiny::new();
    let (f32, _) = models(&tiny);
    let report = compare(&tiny, &f32, &f32, &["--json"]).json();
    assert_eq!(report["mean_tau"], 1.0);
    assert_eq!(report["max_logit_difference"], 0.0);
    assert_eq!(report["a"]["metrics"], report["b"]["metrics"]);
    assert!(
        report["p_value"]
            .as_object()
            .unwrap()
            .values()
            .all(|p| p == 1.0)
    );
    assert_eq!(report["layers_snr_db"], Value::Array(vec![Value::Null; 2]));
}

#[test]
fn int8_differs_a_little() {
    let tiny = Tiny::new();
    let (f32, int8) = models(&tiny);
    let report = compare(&tiny, &f32, &int8, &["--json"]).json();
    let number = |value: &Value| value.as_f64().unwrap();
    let difference = number(&report["max_logit_difference"]);
    assert!(difference > 0.0 && difference < 0.1, "{difference}");
    assert!(number(&report["mean_logit_difference"]) <= difference);
    let tau = number(&report["mean_tau"]);
    assert!(tau > 0.8 && tau <= 1.0, "{tau}");
    assert!(number(&report["min_tau"]) <= tau);
    let layers = report["layers_snr_db"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for layer in layers {
        let db = number(layer);
        assert!((20.0..80.0).contains(&db), "{db}");
    }
    for (side, file) in [("a", &f32), ("b", &int8)] {
        let bytes = std::fs::metadata(file).unwrap().len();
        assert_eq!(report[side]["bytes"], bytes);
        let activations = ["a8", ""][usize::from(side == "a")];
        assert_eq!(
            report[side]["activations"].as_str().unwrap_or(""),
            activations
        );
        assert!(number(&report[side]["median_ms_per_query"]) > 0.0);
        // `eval` on the same file.
        let data = collection(&tiny);
        let args = ["eval", "--dataset", &data, "--json", "--model", file];
        assert_eq!(report[side]["metrics"], lanerank(&args).json()["after"]);
    }
    let table = compare(&tiny, &f32, &int8, &["--limit", "2"]);
    for words in [
        "nDCG@10",
        "Kendall tau",
        "signal to noise",
        "bytes",
        "2 queries",
    ] {
        assert!(table.ok().contains(words), "{words}");
    }
}

#[test]
fn layers_of_other_shapes_are_not_compared() {
    let tiny = Tiny::new();
    let (f32, _) = models(&tiny);
    let short = tiny.convert(&["--force", "--max-length", "16"]);
    short.ok();
    let other = text(&tiny.path("out.lane"));
    let report = compare(&tiny, &f32, &other, &["--json"]).json();
    assert_eq!(report["layers_snr_db"], Value::Null);
    assert!(
        compare(&tiny, &f32, &other, &[])
            .ok()
            .contains("activations are not compared")
    );
    compare(&tiny, &f32, "no/such.lane", &[]).refused("no/such.lane");
    lanerank(&["compare", &f32, &f32]).refused("--dataset");
}
