use std::path::PathBuf;
use std::process::{Command, Stdio};

use lanerank_testing::hub::{Fault, Server};
use serde_json::Value;
use tempfile::TempDir;

use super::support::*;

/// A hub with the tiny model as `org/tiny`, and folders for pulled models.
struct Setup {
    server: Server,
    home: TempDir,
}

impl Setup {
    fn new() -> Setup {
        let tiny = Tiny::new();
        let names = [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "vocab.txt",
        ];
        let files = names.map(|name| (name.to_owned(), std::fs::read(tiny.path(name)).unwrap()));
        Setup {
            server: Server::start("org/tiny", files),
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = command();
        for name in [
            "HF_HUB_CACHE",
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_OFFLINE",
            "XDG_CACHE_HOME",
        ] {
            command.env_remove(name);
        }
        command
            .env("HF_HOME", self.home.path().join("hf"))
            .env("LANERANK_CACHE", self.home.path().join("lanes"))
            .env("HF_ENDPOINT", &self.server.url)
            .env("NO_PROXY", "127.0.0.1")
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Outcome {
        outcome(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    fn pulled(&self) -> PathBuf {
        PathBuf::from(self.run(&["models", "pull", "org/tiny"]).ok().trim())
    }
}

fn outcome(output: std::process::Output) -> Outcome {
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_model_is_pulled_and_then_used_by_its_name() {
    let setup = Setup::new();
    let missing = setup.run(&["inspect", "--help"]);
    missing.ok();
    setup
        .run(&["rerank", "--model", "org/tiny", "--query", "bread"])
        .refused("`lanerank models pull org/tiny` fetches it");
    setup
        .run(&["models", "path", "org/tiny"])
        .refused("models pull org/tiny");
    for (name, words) in [
        ("rank-T5-flan", "a T5 model"),
        ("rank_zephyr", "a language model"),
        (
            "ms_marco_MiniLM_L_12_v2",
            "\"ms-marco-MiniLM-L-12-v2\" is one",
        ),
        ("nosuchmodel", "`lanerank models list`"),
    ] {
        let run = ["rerank", "--model", name, "--query", "bread"];
        setup.run(&run).refused(words);
        setup.run(&["models", "pull", name]).refused(words);
    }
    assert!(
        setup.server.seen().is_empty(),
        "the network was used unasked"
    );

    let path = setup.pulled();
    assert!(path.starts_with(setup.home.path().join("lanes")) && path.is_file());
    setup.server.seen();
    assert_eq!(
        PathBuf::from(setup.run(&["models", "path", "org/tiny"]).ok().trim()),
        path
    );
    let other = setup.run(&["models", "path", "org/tiny", "--dtype", "f32"]);
    assert_ne!(PathBuf::from(other.ok().trim()), path);

    let tiny = Tiny::new();
    let passages = tiny.write("passages.txt", "the lamp is fresh\nbread\n");
    let by = |model: &str| {
        let args = [
            "rerank", "--model", model, "--query", "bread", "--json", &passages,
        ];
        setup.run(&args).json()
    };
    assert_eq!(by("org/tiny"), by(path.to_str().unwrap()));
    assert!(
        setup.server.seen().is_empty(),
        "the network was used unasked"
    );
}

#[test]
fn what_is_here_is_listed_and_can_be_removed() {
    let setup = Setup::new();
    let list = setup.run(&["models", "list", "--json"]).json();
    let names: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["id"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"ms-marco-TinyBERT-L-2-v2"));
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|m| m["fetched"] == false && m["license"].is_string())
    );
    assert!(setup.server.seen().is_empty());
    setup.pulled();
    let find = || -> Option<Value> {
        let list = setup.run(&["models", "list", "--json"]).json();
        list.as_array()
            .unwrap()
            .iter()
            .find(|m| m["id"] == "org/tiny")
            .cloned()
    };
    let tiny = find().unwrap();
    assert_eq!(
        (&tiny["fetched"], tiny["files"].as_array().unwrap().len()),
        (&true.into(), 1)
    );
    let table = setup.run(&["models", "list"]);
    assert!(
        table
            .ok()
            .lines()
            .any(|line| line.starts_with("org/tiny") && line.contains("yes"))
    );
    setup
        .run(&["models", "remove", "org/tiny", "--keep-source"])
        .ok();
    assert_eq!(find(), None);
    setup.run(&["models", "path", "org/tiny"]).ok();
    let removed = setup.run(&["models", "remove", "org/tiny"]);
    assert_eq!(removed.ok(), "");
    assert_eq!(removed.stderr.lines().count(), 2);
    setup
        .run(&["models", "remove", "org/tiny"])
        .refused("is not on this machine");
}

#[test]
fn two_processes_pull_once() {
    let setup = Setup::new();
    let pull = || {
        let mut command = setup.command(&["models", "pull", "org/tiny"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    setup.server.fail(
        "store/",
        [Fault::Slow(std::time::Duration::from_millis(300))],
    );
    let children: Vec<_> = (0..3).map(|_| pull()).collect();
    let paths: Vec<String> = children
        .into_iter()
        .map(|child| outcome(child.wait_with_output().unwrap()).ok().to_owned())
        .collect();
    assert!(paths.iter().all(|path| path == &paths[0]));
    let seen = setup.server.seen();
    assert_eq!(
        seen.iter()
            .filter(|seen| seen.path.contains("/resolve/"))
            .count(),
        4
    );
}

#[test]
fn failures_say_what_to_do() {
    let setup = Setup::new();
    let failed = |outcome: Outcome, words: &str| {
        assert_eq!(
            (outcome.code, outcome.stderr.lines().count()),
            (1, 1),
            "{}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    };
    failed(
        setup.run(&["models", "pull", "org/other"]),
        "404, RepoNotFound",
    );
    setup
        .run(&["models", "pull", "other"])
        .refused("models list");
    setup
        .run(&["models", "pull", "../../etc"])
        .refused("not the name of a repository");
    setup.run(&["models"]).refused("lanerank models --help");
    let mut offline = setup.command(&["models", "pull", "org/tiny"]);
    let offline = outcome(offline.env("HF_HUB_OFFLINE", "1").output().unwrap());
    failed(offline, "HF_HUB_OFFLINE forbids the network");
    let mut mirror = setup.command(&["models", "list"]);
    outcome(mirror.env("HF_ENDPOINT", "mirror").output().unwrap()).refused("HF_ENDPOINT");
}

#[test]
fn paths_are_paths() {
    let setup = Setup::new();
    setup
        .run(&["rerank", "--model", "models/x.lane", "--query", "q"])
        .refused("models/x.lane: No such file");
    let tiny = Tiny::new();
    let model = tiny.model();
    let mut here = setup.command(&["rerank", "--model", "out.lane", "--query", "q", "--json"]);
    let here = here
        .current_dir(tiny.folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(outcome(here).json(), Value::Array(Vec::new()), "{model}");
}
