//! The shape of the test set `tests/data/lookalikes`, and that `eval` reads it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::*;

const KINDS: [&str; 6] = [
    "aspect",
    "name",
    "negation",
    "number",
    "paraphrase",
    "unit_or_condition",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lookalikes")
}

/// The rows of a file of JSON lines, by `_id`.
fn rows(name: &str) -> BTreeMap<String, Value> {
    let content = fs::read_to_string(folder().join(name)).unwrap();
    let mut rows = BTreeMap::new();
    for line in content.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let id = string(&row, "_id").to_owned();
        assert!(rows.insert(id, row).is_none(), "{name}: twice: {line}");
    }
    rows
}

fn string<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

/// The ids of each question's passages; all have the same score.
fn candidates() -> HashMap<String, Vec<String>> {
    let mut candidates: HashMap<String, Vec<String>> = HashMap::new();
    let content = fs::read_to_string(folder().join("run.trec")).unwrap();
    for line in content.lines() {
        let columns: Vec<&str> = line.split(' ').collect();
        assert_eq!((columns.len(), columns[4]), (6, "1"), "{line}");
        let of_question = candidates.entry(columns[0].to_owned()).or_default();
        of_question.push(columns[2].to_owned());
    }
    candidates
}

/// The id of each question's right passage.
fn right() -> HashMap<String, String> {
    let mut right = HashMap::new();
    let content = fs::read_to_string(folder().join("qrels.tsv")).unwrap();
    for line in content.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!((columns.len(), columns[2]), (3, "1"), "{line}");
        let before = right.insert(columns[0].to_owned(), columns[1].to_owned());
        assert!(before.is_none(), "a second right passage: {line}");
    }
    right
}

#[test]
fn questions_are_many_and_of_all_kinds_and_domains() {
    let queries = rows("queries.jsonl");
    assert!(queries.len() >= 100, "{}", queries.len());
    let (mut kinds, mut domains) = (BTreeMap::new(), BTreeMap::new());
    let mut texts = HashSet::new();
    for query in queries.values() {
        *kinds.entry(string(query, "kind")).or_insert(0) += 1;
        *domains.entry(string(query, "domain")).or_insert(0) += 1;
        assert!(
            texts.insert(string(query, "text").to_lowercase()),
            "{query}"
        );
    }
    assert!(kinds.keys().copied().eq(KINDS), "{kinds:?}");
    assert!(kinds.values().all(|&count| count >= 15), "{kinds:?}");
    assert!(domains.len() >= 10, "{domains:?}");
    assert!(domains.values().all(|&count| count >= 8), "{domains:?}");
}

#[test]
fn every_question_has_five_passages_of_its_own() {
    let (queries, corpus) = (rows("queries.jsonl"), rows("corpus.jsonl"));
    let candidates = candidates();
    assert_eq!(candidates.len(), queries.len());
    let mut used = HashSet::new();
    for (query, passages) in &candidates {
        assert!(queries.contains_key(query), "{query}");
        assert_eq!(passages.len(), 5, "{query}");
        for id in passages {
            assert!(used.insert(id), "{id} comes twice");
            assert!(corpus.contains_key(id), "{id}");
        }
    }
    assert_eq!(used.len(), corpus.len());
    let mut texts = HashSet::new();
    for passage in corpus.values() {
        let text = string(passage, "text");
        let words = text.split_whitespace().count();
        assert!((15..=60).contains(&words), "{words} words: {text}");
        assert!(texts.insert(text.to_lowercase()), "twice: {text}");
    }
}

/// With equal scores, `eval` takes ids in descending order: that is a passage's place.
#[test]
fn the_right_passage_is_in_every_place_equally_often() {
    let (candidates, right) = (candidates(), right());
    assert_eq!(right.len(), candidates.len());
    let mut counts = [0_usize; 5];
    for (query, passage) in &right {
        let mut ids = candidates[query].clone();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let place = ids.iter().position(|id| id == passage);
        counts[place.unwrap_or_else(|| panic!("{passage} is no candidate"))] += 1;
    }
    let fifth = right.len() / 5;
    let near = fifth * 3 / 4..=fifth * 5 / 4;
    assert!(
        counts.iter().all(|count| near.contains(count)),
        "{counts:?}"
    );

    let args = [
        "eval",
        "--dataset",
        &text(&folder()),
        "--first-stage-only",
        "--json",
    ];
    let report = lanerank(&args).json();
    assert_eq!(report["queries"], right.len());
    let ranks = (1..).zip(counts);
    let sum: f64 = ranks
        .map(|(rank, count)| count as f64 / f64::from(rank))
        .sum();
    let mrr = report["before"]["mrr@10"].as_f64().unwrap();
    assert!((mrr - sum / right.len() as f64).abs() < 1e-9, "{mrr}");
}
