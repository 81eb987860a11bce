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
fn misspelt_names_get_the_right_one_and_the_right_help() {
    for (args, tip, help) in [
        (&["rerankk"][..], "'rerank'", "`lanerank --help`"),
        (
            &["rerank", "--qery", "x"],
            "'--query'",
            "`lanerank rerank --help`",
        ),
        (&["models", "lst"], "'list'", "`lanerank models --help`"),
        (
            &["models", "list", "--jsn"],
            "'--json'",
            "`lanerank models list --help`",
        ),
        (
            &["rerank", "--fuse", "zscor"],
            "'zscore'",
            "`lanerank rerank --help`",
        ),
        (&["models"], "no command", "`lanerank models --help`"),
        (&["-q", "models"], "-q", "`lanerank --help`"),
    ] {
        let outcome = lanerank(args);
        outcome.refused(tip);
        outcome.refused(help);
    }
}

#[test]
fn too_many_threads_are_refused_at_once() {
    let tiny = Tiny::new();
    let model = tiny.model();
    for args in [
        &["rerank", "-q", "bread", "-m", &model][..],
        &["bench", "-m", &model],
        &["embed", "-m", &model],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let outcome = lanerank(&[args, &["--threads", "100000"]].concat());
        outcome.refused("threads: 100000 is above");
    }
    let args = ["serve", "--listen", "127.0.0.1:0", "--io-threads", "100000"];
    lanerank(&args).refused("io-threads: 100000 is above");
}

/// The system has no room for a thread's stack of 64 TiB.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn threads_that_cannot_be_started_are_an_error() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let texts = tiny.write("texts.txt", "bread\nthe lamp\n");
    let run = |args: &[&str]| {
        let output = command()
            .args(args)
            .env("RUST_MIN_STACK", (1u64 << 46).to_string())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panic"), "{stderr}");
        (output.status.code(), stderr)
    };
    let rerank = ["rerank", "-q", "bread", "-m", &model, &texts];
    let (code, stderr) = run(&[&rerank[..], &["--threads", "2"]].concat());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("threads: the system refused to start 2"),
        "{stderr}"
    );
    // Without a wish the calling thread computes alone.
    let (code, stderr) = run(&rerank);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stderr) = run(&["serve", "--model", &model, "--listen", "127.0.0.1:0"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("threads: "), "{stderr}");
}

/// In the order of a first use, then by how often one needs it.
#[test]
fn help_lists_all_commands() {
    let help = lanerank(&["--help"]);
    let lines = help.ok().lines().filter_map(|line| line.strip_prefix("  "));
    let names: Vec<&str> = lines
        .filter(|line| line.starts_with(char::is_alphabetic))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        names,
        [
            "rerank",
            "embed",
            "tokenize",
            "serve",
            "models",
            "convert",
            "inspect",
            "eval",
            "compare",
            "bench",
            "doctor",
            "completions",
            "man",
            "help"
        ]
    );
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
    let folder = text(tiny.folder.path());
    let rerank = |model: &str| lanerank(&["rerank", "-q", "x", "-m", model]);
    rerank(&folder).refused(&format!(
        "is a folder, not a model file; `lanerank convert {folder}"
    ));
    rerank(&text(&tiny.path("model.safetensors"))).refused("lanerank convert");
    rerank("nosuchmodel").refused("lanerank models list");
    lanerank(&["serve", "--model", &folder]).refused("lanerank convert");
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
