//! The binary: its output, and its messages for bad input.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::tiny_encoder_file;
use tempfile::TempDir;

const DEFAULT_MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/assets/default.lane");

fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanerank-pipelines"));
    for variable in ["LANERANK_MODEL", "LANERANK_ENCODER", "LANERANK_ISA"] {
        command.env_remove(variable);
    }
    command.args(args).output().unwrap()
}

/// The output of a run that must succeed.
fn printed(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The line on standard error of a run that must be refused.
fn refused(args: &[&str]) -> String {
    let output = run(args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert!(output.stdout.is_empty());
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

/// A collection of two documents and one query, with the file `name` replaced by `content`.
fn folder_with(name: &str, content: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        (
            "corpus.jsonl",
            "{\"_id\":\"a\",\"text\":\"bread in a bag\"}\n\
             {\"_id\":\"b\",\"title\":\"lamp\",\"text\":\"light\"}\n",
        ),
        ("queries.jsonl", "{\"_id\":\"q\",\"text\":\"bread\"}\n"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq\ta\t1\n"),
    ];
    for (file, text) in files {
        let text = if file == name { content } else { text };
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

/// The nDCG@10 in a report's line for a stage.
fn ndcg(report: &str, stage: &str) -> f64 {
    let line = report.lines().find(|line| line.starts_with(stage)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn lexical_and_sqlite_measure_the_small_collection() {
    for pipeline in ["lexical", "sqlite"] {
        let report = printed(&[pipeline, "--limit", "20"]);
        assert!(
            report.starts_with("data: 240 documents, 20 queries, first 100 of "),
            "{report}"
        );
        for stage in ["retrieved", "reranked", "blended"] {
            assert!(ndcg(&report, stage) > 0.85, "{report}");
        }
        let in_sql = report.contains("both in one SQL statement: ");
        assert_eq!(in_sql, pipeline == "sqlite", "{report}");
    }
}

#[test]
fn semantic_and_hybrid_run_and_keep_vectors() {
    let (cache, encoder) = (tempfile::tempdir().unwrap(), tiny_encoder_file());
    let common = [
        "--encoder",
        encoder.to_str().unwrap(),
        "--cache",
        cache.path().to_str().unwrap(),
    ];
    for pipeline in ["semantic", "hybrid"] {
        let report = printed(&[&[pipeline, "--limit", "5"], &common[..]].concat());
        assert!(report.contains("usearch"), "{report}");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    }
    let table = printed(&[&["table", "--limit", "2"], &common[..]].concat());
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), 4, "{table}");
    assert!(
        rows.iter().all(|row| row.starts_with("| data | 240, 2 | ")),
        "{table}"
    );
    assert!(
        rows.iter().all(|row| row.matches('|').count() == 9),
        "{table}"
    );
}

#[test]
fn a_query_is_answered_with_places_of_every_stage() {
    let query = "How many points did the Panthers defense surrender?";
    for pipeline in ["lexical", "sqlite"] {
        let text = printed(&[pipeline, "--top", "2", "--query", query]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let cells: Vec<&str> = lines[1].split_whitespace().take(5).collect();
        assert_eq!((cells[0], cells[4]), ("1", "p0"), "{text}");
        for empty in ["", "\"( *", "zzzzqqqq"] {
            assert_eq!(printed(&[pipeline, "--query", empty]), "nothing found\n");
        }
    }
}

#[test]
fn a_folder_of_ones_own_in_either_layout() {
    let folder = folder_with("", "");
    let report = printed(&["lexical", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(ndcg(&report, "retrieved"), 1.0, "{report}");
    fs::create_dir(folder.path().join("qrels")).unwrap();
    let moved = folder.path().join("qrels/test.tsv");
    fs::rename(folder.path().join("qrels.tsv"), moved).unwrap();
    let report = printed(&["sqlite", "--data", folder.path().to_str().unwrap()]);
    assert_eq!(ndcg(&report, "blended"), 1.0, "{report}");
}

#[test]
fn runs_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    printed(&[
        "lexical",
        "--limit",
        "2",
        "--depth",
        "3",
        "--write-runs",
        path,
    ]);
    for stage in ["retrieved", "reranked", "blended"] {
        let run = fs::read_to_string(folder.path().join(format!("{stage}.trec"))).unwrap();
        assert_eq!(run.lines().count(), 6, "{run}");
        assert!(run.lines().all(|line| line.ends_with(stage)), "{run}");
    }
    let missing = format!("{path}/missing");
    assert!(refused(&["lexical", "--limit", "1", "--write-runs", &missing]).contains(&missing));
}

#[test]
fn bad_collections_are_named_to_the_line() {
    for (name, content, words) in [
        (
            "corpus.jsonl",
            "{\"_id\":\"a\",\"text\":\"t\"}\n{\"_id\":\n",
            "corpus.jsonl:2: ",
        ),
        (
            "corpus.jsonl",
            "{\"_id\":\"a\"}\n",
            "corpus.jsonl:1: missing field `text`",
        ),
        ("corpus.jsonl", "", "corpus.jsonl: not a single document"),
        (
            "corpus.jsonl",
            "{\"_id\":\"a\",\"text\":\"t\"}\n{\"_id\":\"a\",\"text\":\"u\"}\n",
            "document \"a\" comes twice",
        ),
        ("queries.jsonl", "[]\n", "queries.jsonl:1: "),
        ("queries.jsonl", "", "no text for the judged query \"q\""),
        (
            "qrels.tsv",
            "query-id\tcorpus-id\tscore\nq\ta\tx\n",
            "qrels.tsv:2: ",
        ),
        ("qrels.tsv", "", "qrels.tsv: not a single judged query"),
    ] {
        let folder = folder_with(name, content);
        let line = refused(&["lexical", "--data", folder.path().to_str().unwrap()]);
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(refused(&["sqlite", "--data", "/no/such/folder"]).contains("/no/such/folder"));
    let folder = folder_with("", "");
    fs::remove_file(folder.path().join("queries.jsonl")).unwrap();
    let line = refused(&["lexical", "--data", folder.path().to_str().unwrap()]);
    assert!(
        line.contains("no queries.jsonl or queries.tsv in this folder"),
        "{line}"
    );
}

#[test]
fn without_an_encoder_the_way_to_one_is_shown() {
    for pipeline in ["semantic", "hybrid"] {
        let line = refused(&[pipeline]);
        assert!(
            line.contains("lanerank models pull sentence-transformers/all-MiniLM-L6-v2"),
            "{line}"
        );
        assert!(line.contains("lanerank convert "), "{line}");
    }
    let output = run(&["table", "--limit", "1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 4);
    let notice = String::from_utf8(output.stderr).unwrap();
    assert!(
        notice.contains("semantic and hybrid skipped: no sentence encoder"),
        "{notice}"
    );
}

#[test]
fn models_that_are_none_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.lane");
    fs::write(&broken, "not a model").unwrap();
    let broken = broken.to_str().unwrap();
    assert!(Path::new(DEFAULT_MODEL).exists());
    for args in [
        ["lexical", "--model", broken],
        ["semantic", "--encoder", broken],
        ["semantic", "--encoder", "/no/such.lane"],
        ["hybrid", "--encoder", DEFAULT_MODEL],
    ] {
        assert!(refused(&args).contains(args[2]), "{args:?}");
    }
}
