use std::process::Stdio;

use super::support::*;

#[test]
fn usage_errors_are_one_line() {
    lanerank(&[]).refused("no command");
    lanerank(&["frobnicate"]).refused("unrecognized subcommand 'frobnicate'");
    lanerank(&["rerank", "--no-such"]).refused("'--no-such'");
    lanerank(&["convert"]).refused("required arguments were not provided");
    lanerank(&["convert", "x", "-o", "y", "--dtype", "int4"]).refused("int4");
    lanerank(&["rerank", "-q", "x", "--weight", "0.5"]).refused("--fuse");
    lanerank(&["bench", "--runs", "0"]).refused("--runs 0");
    lanerank(&["rerank", "-q", "x", "--top", "-1"]).refused("-1");
}

#[test]
fn help_and_version() {
    assert!(lanerank(&["--help"]).ok().contains("Usage: lanerank"));
    assert!(lanerank(&["--version"]).ok().starts_with("lanerank "));
    for command in ["rerank", "convert", "inspect", "tokenize", "eval", "bench"] {
        assert!(
            lanerank(&[command, "--help"])
                .ok()
                .contains("Usage: lanerank")
        );
    }
}

#[test]
fn bad_models_are_named() {
    lanerank(&["rerank", "-q", "x", "-m", "/no/such.lane"]).refused("/no/such.lane");
    let tiny = Tiny::new();
    let bytes = tiny.write("garbage.lane", "garbage");
    lanerank(&["rerank", "-q", "x", "-m", &bytes]).refused("garbage.lane: model file: ");
    lanerank(&["inspect", &bytes]).refused("garbage.lane");
}

#[test]
fn the_model_may_come_from_the_environment() {
    let tiny = Tiny::new();
    let output = command()
        .args(["rerank", "-q", "bread"])
        .env("LANERANK_MODEL", tiny.model())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn messages_cannot_drive_the_terminal() {
    lanerank(&["inspect", "/no/\u{1b}[31m\nsuch"]).refused("\\u{1b}[31m\\nsuch");
}

/// A reader that closes the pipe is no failure, and nothing panics.
#[test]
fn closed_pipes() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let line = "\"bread is fresh\"\n";
    let texts = tiny.write("texts.jsonl", line.repeat(20_000));
    for args in [
        vec!["tokenize", "--model", &model, &texts],
        vec!["inspect", &model, "--json"],
        vec![
            "rerank",
            "-m",
            &model,
            "-q",
            "x",
            "--json",
            &texts,
            "--format",
            "lines",
            "--deadline",
            "1",
        ],
        vec!["--help"],
    ] {
        let mut child = command()
            .args(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panic"), "{args:?}: {stderr}");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let tiny = Tiny::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = command()
        .args(["inspect", &tiny.model()])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("lanerank: standard output: "),
        "{stderr}"
    );
}
