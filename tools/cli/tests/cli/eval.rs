use std::path::Path;

use serde_json::Value;

use super::support::*;

fn golden() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/metrics");
    text(&folder)
}

fn close(a: &Value, b: &Value) -> bool {
    (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-9
}

/// trec_eval's measures, made by `tests/data/metrics/make.py`.
#[test]
fn measures_equal_trec_evals() {
    let expected = std::fs::read(Path::new(&golden()).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let args = [
        "eval",
        "--dataset",
        &golden(),
        "--first-stage-only",
        "--json",
        "--depth",
        "1000",
    ];
    for (more, name) in [
        (None, "linear"),
        (Some("--exponential-gain"), "exponential"),
    ] {
        let all: Vec<&str> = args.into_iter().chain(more).collect();
        let report = lanerank(&all).json();
        assert_eq!(
            (&report["queries"], &report["gain"]),
            (&5.into(), &name.into())
        );
        for measure in ["ndcg@10", "mrr@10", "map", "recall@100"] {
            let (ours, theirs) = (&report["before"][measure], &expected[name][measure]);
            assert!(
                close(ours, theirs),
                "{name} {measure}: {ours}, not {theirs}"
            );
        }
    }
}

#[test]
fn a_written_run_measures_as_the_report_says() {
    let tiny = Tiny::new();
    let (model, run) = (tiny.model(), text(&tiny.path("out.trec")));
    let golden = golden();
    let args = [
        "eval",
        "--dataset",
        &golden,
        "--json",
        "--depth",
        "20",
        "--limit",
        "3",
    ];
    let rerank = ["--model", &model, "--write-run", &run, "--verbose"];
    let report = lanerank(&[&args[..], &rerank].concat()).json();
    assert_eq!(report["per_query"].as_array().unwrap().len(), 3);
    let again = lanerank(&[&args[..], &["--run", &run, "--first-stage-only"]].concat()).json();
    assert_eq!(report["after"], again["before"]);
    assert_eq!(
        (&again["after"], &again["p_value"]),
        (&Value::Null, &Value::Null)
    );
    for (measure, p) in report["p_value"].as_object().unwrap() {
        let p = p.as_f64().unwrap();
        // Three queries give eight choices of signs.
        assert!(
            (0.25..=1.0).contains(&p) && (p * 8.0).fract() == 0.0,
            "{measure}: {p}"
        );
    }
    // With weight 0 for the model, the order is the first stage's.
    let fused = ["--model", &model, "--fuse", "minmax", "--weight", "0"];
    let fused = lanerank(&[&args[..], &fused].concat()).json();
    assert!(close(
        &fused["before"]["recall@100"],
        &fused["after"]["recall@100"]
    ));
}

#[test]
fn tables_for_people() {
    let golden = golden();
    let args = [
        "eval",
        "--dataset",
        &golden,
        "--first-stage-only",
        "--verbose",
    ];
    let outcome = lanerank(&args);
    let lines: Vec<&str> = outcome.ok().lines().collect();
    assert_eq!(lines.len(), 1 + 5 + 1 + 1 + 1 + 4);
    assert!(
        outcome
            .stdout
            .contains("mean of 5 queries (all judged queries, as trec_eval -c)")
    );
}

#[test]
fn what_is_missing_is_named() {
    let tiny = Tiny::new();
    let empty = text(tiny.folder.path());
    lanerank(&["eval", "--dataset", &empty, "--first-stage-only"]).refused("no qrels.tsv");
    lanerank(&["eval"]).refused("--dataset");
    let run = tiny.write("bad.trec", "q1 Q0 d1 1 nan t\n");
    let args = [
        "eval",
        "--dataset",
        &golden(),
        "--first-stage-only",
        "--run",
        &run,
    ];
    lanerank(&args).refused("bad.trec:1: the score \"nan\"");
}
