//! The reports of `bench`, not its speed.

use std::fs;

use serde_json::{Value, json};

use super::support::*;

#[test]
fn every_request_is_reported() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let workload = json!({
        "zero": {"query": "bread", "passages": []},
        "few": {"query": "bread", "passages": ["fresh bread", "the lamp"]},
    });
    let workload = tiny.write("workload.json", workload.to_string());
    let args = ["bench", "-m", &model, "--threads", "1", "--runs", "3"];
    let report = lanerank(&[&args[..], &["--workload", &workload, "--json"]].concat()).json();
    let requests = report["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 2);
    let few = requests.iter().find(|r| r["name"] == "few").unwrap();
    assert_eq!((&few["passages"], &few["runs"]), (&json!(2), &json!(3)));
    assert!(few["p10_ms"].as_f64() <= few["p90_ms"].as_f64());
    assert!(lanerank(&args).ok().contains("mixed100"));
    let bad = tiny.write("bad.json", "{}");
    lanerank(&[&args[..], &["--workload", &bad]].concat()).refused("no request");
}

#[test]
fn callers_each_get_their_answers() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let workload = json!({"one": {"query": "bread", "passages": ["fresh bread", "lamp"]}});
    let workload = tiny.write("workload.json", workload.to_string());
    let args = [
        "bench",
        "-m",
        &model,
        "--workload",
        &workload,
        "--callers",
        "1,8",
    ];
    let report = lanerank(&[&args[..], &["--runs", "125", "--json"]].concat()).json();
    let rows = report["requests"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for (row, callers) in rows.iter().zip([1, 8]) {
        assert_eq!(row["callers"], callers);
        assert_eq!(row["samples"], 125 * callers);
        assert!(row["p50_ms"].as_f64() <= row["p99_ms"].as_f64());
        assert!(row["requests_per_s"].as_f64() > Some(0.0));
        // 125 samples are too few for this quantile.
        assert_eq!(row["p999_ms"].is_null(), callers == 1);
    }
    let text = lanerank(&[&args[..], &["--runs", "2"]].concat());
    assert!(text.ok().contains("p99.9 ms"), "{}", text.stdout);
    for (bad, words) in [("0", "0"), ("1,x", "x"), ("2000", "2000")] {
        lanerank(&["bench", "-m", &model, "--callers", bad]).refused(words);
    }
}

/// Number of elements of a kind.
fn count(svg: &str, element: &str) -> usize {
    svg.matches(&format!("<{element} ")).count()
}

#[test]
fn kernels_stand_beside_the_peaks() {
    let folder = tempfile::tempdir().unwrap();
    let picture = text(&folder.path().join("roofline.svg"));
    let mut args = vec!["bench", "--json", "--filter", "_i8_a16/3x128x128"];
    if cfg!(target_arch = "x86_64") {
        args.extend(["--plot", &picture]);
    }
    let report = lanerank(&args).json();
    let (peaks, kernels) = (&report["peaks"], report["kernels"].as_array().unwrap());
    let tiers = peaks.as_array().unwrap();
    assert_eq!(kernels.len(), tiers.len());
    for (row, peaks) in kernels.iter().zip(tiers) {
        assert_eq!(row["op"], "gemm_i8_a16");
        assert_eq!(
            (&row["model"], &row["shape"]),
            (&json!("tinybert"), &json!("3x128x128"))
        );
        assert_eq!(row["kernels"], peaks["kernels"]);
        let number = |name: &str| row[name].as_f64().unwrap();
        // Two products of 3 x 128 x 128, with two operations per multiply-add.
        let operations = 1e3 * number("gops") * number("us");
        assert!((operations / f64::from(2 * 2 * 3 * 128 * 128) - 1.0).abs() < 1e-6);
        if let Some(peak) = peaks["int8_gops"].as_f64() {
            let percent = 100.0 * number("gops") / peak;
            assert!((number("percent_of_peak") / percent - 1.0).abs() < 1e-6);
            assert_eq!(peaks["bandwidths"].as_array().unwrap().len(), 3);
        }
    }
    if cfg!(target_arch = "x86_64") {
        let svg = fs::read_to_string(&picture).unwrap();
        let drawn = tiers.iter().filter(|peaks| peaks["int8_gops"].is_number());
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for tier in drawn {
            let heading = format!("{}, one thread", tier["kernels"].as_str().unwrap());
            assert!(svg.contains(&heading), "{heading}");
        }
        // A point and a legend entry per tier.
        assert_eq!(count(&svg, "circle"), 2 * kernels.len());
    }
    let table = lanerank(&["bench", "--kernels", "--filter", "_i8_a16/3x128x128"]);
    assert!(table.ok().contains("% of peak"), "{}", table.stdout);
    lanerank(&["bench", "--filter", "gemm_i4"]).refused("gemm_i4");
    lanerank(&["bench", "--kernels", "--runs", "2"]).refused("cannot be used with");
    lanerank(&["bench", "--filter", "dot", "--threads", "2"]).refused("--threads has no effect");
}

#[test]
fn an_unknown_tier_is_refused() {
    let output = command()
        .args(["bench", "--kernels"])
        .env("LANERANK_ISA", "avx9")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("avx9"));
}

/// Runs on the portable tier: one curve.
fn on_portable(args: &[&str]) -> Value {
    let output = command()
        .args(args)
        .env("LANERANK_ISA", "portable")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn curves_have_a_point_for_every_length() {
    let tiny = Tiny::new();
    let (model, picture) = (tiny.model(), text(&tiny.path("curve.svg")));
    let args = ["bench", "-m", &model, "--threads", "1", "--json", "--curve"];
    let report = on_portable(&[&args[..], &["tokens", "--plot", &picture]].concat());
    let points = report["points"].as_array().unwrap();
    let at: Vec<_> = points.iter().map(|p| p["x"].as_u64().unwrap()).collect();
    // The model's maximum is 40.
    assert_eq!(at, [16, 32]);
    assert!(
        points
            .iter()
            .all(|p| p["ms_per_passage"].as_f64() > Some(0.0))
    );
    assert_eq!(
        (&report["curve"], &report["layers"]),
        (&json!("tokens"), &json!(2))
    );
    let svg = fs::read_to_string(&picture).unwrap();
    assert_eq!(count(&svg, "circle"), 2);
    assert!(svg.contains("portable") && svg.contains("milliseconds a passage"));
    let report = on_portable(&[&args[..], &["layers"]].concat());
    let points = report["points"].as_array().unwrap();
    let at: Vec<_> = points.iter().map(|p| p["x"].as_u64().unwrap()).collect();
    assert_eq!(at, [1, 2, 3, 4, 6, 8, 12]);
    lanerank(&["bench", "--curve", "width"]).refused("width");
}

#[test]
fn saved_work_is_measured_both_ways() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let workload = json!({
        "two": {"query": "bread", "passages": ["fresh bread", "the lamp is the lamp"]},
        "none": {"query": "bread", "passages": []},
    });
    let workload = tiny.write("workload.json", workload.to_string());
    let args = ["bench", "-m", &model, "--saved", "--workload", &workload];
    let report = on_portable(&[&args[..], &["--json"]].concat());
    assert_eq!(
        (&report["request"], &report["passages"]),
        (&json!("two"), &json!(2))
    );
    // [CLS] bread [SEP], the passage's words, [SEP].
    assert_eq!(
        (&report["tokens"], &report["longest"]),
        (&json!(6 + 9), &json!(9))
    );
    let saved = report["saved"].as_array().unwrap();
    let end_to_end = saved.iter().filter(|row| row["measured"] == "end to end");
    assert_eq!((end_to_end.count(), saved.len()), (6, 10));
    for row in saved {
        assert!(
            row["ms"].as_f64() > Some(0.0) && row["without_ms"].as_f64() > Some(0.0),
            "{row}"
        );
    }
    let empty = tiny.write(
        "empty.json",
        json!({"a": {"query": "b", "passages": []}}).to_string(),
    );
    lanerank(&["bench", "-m", &model, "--saved", "--workload", &empty]).refused("--saved");
}
