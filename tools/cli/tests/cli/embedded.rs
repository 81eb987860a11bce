//! Commands without `--model`: the embedded model.

use super::support::*;

#[test]
fn an_encoder_must_be_named() {
    let outcome = lanerank(&["embed"]);
    outcome.refused("the embedded model is a cross-encoder");
    outcome.refused("lanerank convert");
    let words: Vec<_> = lanerank(&["embed", "--help"])
        .ok()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert!(!words.join(" ").contains("embedded model"));
}

mod with_it {
    use std::fs;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    const TEXTS: &str = "the lighthouse was built in 1847\nthe fridge dries bread out\n";
    const QUERY: &str = "how to keep bread fresh";

    /// The README's command and the table below it.
    #[test]
    fn readmes_first_command_prints_what_stands_there() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
        let readme = fs::read_to_string(readme).unwrap();
        let start = readme.split_once("## Quick start").unwrap().1;
        let block = |kind: &str| {
            let (_, rest) = start.split_once(&format!("```{kind}\n")).unwrap();
            rest.split_once("\n```").unwrap().0
        };
        let command = block("sh");
        let words = command.rsplit("\n").next().unwrap();
        assert!(
            words.starts_with("  cargo run --release -- rerank --query '"),
            "{command}"
        );
        // The quoted parts: printf's format, the passages, the query.
        let quoted: Vec<&str> = command.split('\'').skip(1).step_by(2).collect();
        let [_, passages @ .., query] = &quoted[..] else {
            panic!("{command}")
        };
        assert_eq!(passages.len(), 3);
        let input = passages.join("\n") + "\n";
        let outcome = lanerank_with(&["rerank", "--query", query], &input);
        assert_eq!(outcome.ok().trim_end(), block("text"));
        assert_eq!(outcome.stderr, "");
    }

    #[test]
    fn rerank_orders_by_relevance() {
        let outcome = lanerank_with(&["rerank", "-q", QUERY, "--json"], TEXTS);
        assert_eq!(outcome.json()[0]["index"], 1);
        assert_eq!(outcome.json()[1]["index"], 0);
    }

    #[test]
    fn a_named_model_goes_first() {
        let tiny = Tiny::new();
        let output = command()
            .arg("inspect")
            .arg("--json")
            .env("LANERANK_MODEL", tiny.model())
            .output();
        let named: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        assert_eq!(named["config"]["hidden_size"], 32);
        let embedded = lanerank(&["inspect", "--json"]).json();
        assert_eq!(embedded["config"]["hidden_size"], 128);
    }

    #[test]
    fn inspect_checks_it() {
        let outcome = lanerank(&["inspect", "--check"]);
        assert!(
            outcome.ok().contains("the self-test is within 0.0 on"),
            "{}",
            outcome.stdout
        );
        let facts = lanerank(&["inspect", "--check", "--json"]).json();
        assert_eq!(facts["config"]["head"], "classifier");
        assert!(facts["file_bytes"].as_u64().unwrap() <= 5_000_000);
    }

    #[test]
    fn tokenize_has_its_vocabulary() {
        let outcome = lanerank_with(&["tokenize"], "\"the\"\n");
        assert_eq!(
            outcome.ok(),
            "{\"ids\":[101,1996,102],\"type_ids\":[0,0,0]}\n"
        );
    }

    #[test]
    fn eval_and_bench_run_on_it() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/metrics");
        let args = [
            "eval",
            "--dataset",
            &text(&golden),
            "--limit",
            "2",
            "--json",
        ];
        let report = lanerank(&args).json();
        assert!(report["after"]["ndcg@10"].is_f64(), "{report}");
        let report = lanerank(&["bench", "--runs", "1", "--threads", "1", "--json"]).json();
        assert_eq!(report["model"], "embedded model");
    }

    #[test]
    fn help_says_so() {
        for command in ["rerank", "inspect", "tokenize", "eval", "bench"] {
            let outcome = lanerank(&[command, "--help"]);
            let words: Vec<_> = outcome.ok().split_whitespace().collect();
            assert!(
                words.join(" ").contains("[default: the embedded model]"),
                "{command}"
            );
        }
    }

    /// While the ranker waits for passages, no file is open, and only the program and the system's
    /// libraries are mapped.
    #[cfg(all(target_os = "linux", feature = "rayon"))]
    #[test]
    fn starting_up_opens_no_file() {
        use std::process::Stdio;
        use std::time::{Duration, Instant};

        let mut child = command()
            .args(["rerank", "-q", QUERY, "--threads", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Path::new("/proc").join(child.id().to_string());
        let list = |name: &str| -> Vec<_> {
            let entries = fs::read_dir(process.join(name)).unwrap();
            entries.map(|entry| entry.unwrap().path()).collect()
        };
        // Files inherited from the test runner do not count.
        let ours = fs::read_dir("/proc/self/fd").unwrap();
        let inherited: Vec<_> = ours
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .collect();
        // Asleep, and still asleep later: it waits for its standard input.
        let switches = || {
            let status = fs::read_to_string(process.join("status")).unwrap();
            let asleep = status.lines().any(|line| line.starts_with("State:\tS"));
            let count = status
                .lines()
                .find(|line| line.starts_with("voluntary_ctxt_switches"));
            asleep.then(|| count.map(str::to_owned))
        };
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let before = switches();
            std::thread::sleep(Duration::from_millis(50));
            if before.is_some() && before == switches() {
                break;
            }
            assert!(Instant::now() < patience, "it never waits");
        }
        for descriptor in list("fd") {
            let target = fs::read_link(&descriptor).unwrap();
            let opened = target.is_file() && !inherited.contains(&target);
            assert!(!opened, "{}", target.display());
        }
        let program = Path::new(env!("CARGO_BIN_EXE_lanerank"))
            .canonicalize()
            .unwrap();
        for line in fs::read_to_string(process.join("maps")).unwrap().lines() {
            let Some(at) = line.find('/') else { continue };
            let mapped = Path::new(&line[at..]);
            let library = mapped.to_string_lossy().contains(".so");
            assert!(library || mapped == program, "{line}");
        }
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
