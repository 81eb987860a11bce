use std::process::Output;

use serde_json::Value;

use super::support::*;

fn doctor(variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = command();
    command.arg("doctor").args(args);
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_report_has_what_a_bug_report_needs() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("sub")).unwrap();
    std::fs::write(home.path().join("sub/a.lane"), [0; 1234]).unwrap();
    let cache = home.path().to_str().unwrap();
    let output = doctor(&[("LANERANK_CACHE", cache)], &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["missing_features"], serde_json::json!([]));
    assert_eq!(report["cache"]["bytes"], 1234);
    assert_eq!(report["cache"]["files"], 1);
    assert_eq!(report["cache"]["folder"], cache);
    assert_eq!(report["problems"], serde_json::json!([]));
    let tiers = report["tiers"].as_array().unwrap();
    let used = tiers.iter().find(|t| t["name"] == report["tier"]).unwrap();
    assert_eq!(used["runs"], true);
    for tier in tiers {
        assert_eq!(tier["runs"] == false, tier["reason"].is_string(), "{tier}");
    }
    let model = &report["default_model"];
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/assets/default.lane");
    assert_eq!(model["bytes"], std::fs::metadata(file).unwrap().len());
    assert!(model["self_test_rows"].as_u64().unwrap() > 0);

    let shown = doctor(&[("LANERANK_ISA", "portable")], &[]);
    let shown = text(&shown.stdout);
    for words in [
        "lanerank ",
        "features ",
        "memory ",
        "portable",
        "runs, and is used",
        "xxh64 ",
        "LANERANK_ISA ",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

/// libxxhash 0.8.1 gives this digest of `src/assets/default.lane`.
#[test]
fn the_digest_is_that_of_the_file() {
    let report = doctor(&[], &["--json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["default_model"]["xxh64"], "c8e740e2d10da6ff");
}

#[test]
fn a_problem_is_told_after_the_report() {
    let output = doctor(&[("LANERANK_ISA", "mmx")], &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["tier"], Value::Null);
    assert!(report["problems"][0].as_str().unwrap().contains("mmx"));
    let told = text(&output.stderr);
    assert!(told.starts_with("lanerank: LANERANK_ISA: "), "{told}");
    assert!(told.contains("unset it"), "{told}");
    assert_eq!(told.lines().count(), 1);
}
