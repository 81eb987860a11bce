use std::fs;
use std::process::Command;

use super::support::*;

#[test]
fn completions_name_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = lanerank(&["completions", shell]);
        for word in ["rerank", "doctor", "explain-truncation", "max-connections"] {
            assert!(script.ok().contains(word), "{shell}: {word}");
        }
    }
    lanerank(&["completions", "csh"]).refused("csh");
}

/// Bash itself completes `lanerank rer` and `lanerank models pu`.
#[test]
fn bash_completes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanerank.bash");
    fs::write(&path, lanerank(&["completions", "bash"]).ok()).unwrap();
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let script = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={last}; _lanerank lanerank {} {}; \
             echo \"${{COMPREPLY[@]}}\"",
            path.display(),
            words.join(" "),
            words[last],
            words[last - 1]
        );
        let output = Command::new("bash").args(["-c", &script]).output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    let Some(reply) = complete(&["lanerank", "rer"]) else {
        return; // no bash
    };
    assert_eq!(reply, "rerank");
    let reply = complete(&["lanerank", "models", "pu"]).unwrap();
    assert_eq!(reply, "pull");
}

#[test]
fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let man1 = folder.path().join("man/man1");
    let outcome = lanerank(&["man", &text(&man1)]);
    outcome.ok();
    assert!(outcome.stderr.contains("pages to"), "{}", outcome.stderr);
    let page = |name: &str| fs::read_to_string(man1.join(name)).unwrap();
    assert!(page("lanerank.1").contains("rerank"));
    for (name, words) in [
        ("lanerank-rerank.1", "deadline"),
        ("lanerank-serve.1", "max\\-connections"),
        ("lanerank-models-pull.1", "dtype"),
    ] {
        let page = page(name);
        assert!(page.starts_with(".ie"), "{page}");
        assert!(page.contains(words), "{name}: {page}");
    }
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    lanerank(&["man", &text(&file)]).refused("file: ");
}
