//! `src/lib.rs` states the order of its modules: each imports only from those above it. This test
//! reads the sources and fails on an import against that order.

use std::fs;
use std::path::{Path, PathBuf};

/// Names of modules, lowest first.
fn order(src: &Path) -> Vec<String> {
    let lib = fs::read_to_string(src.join("lib.rs")).unwrap();
    let name = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    lib.lines().filter_map(name).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The first names after each `crate::` in a line of code.
fn imports(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, path) in line.match_indices("crate::") {
        if line[..at].ends_with(|c| is_name(c) || c == ':') {
            continue;
        }
        let rest = &line[at + path.len()..];
        names.push(rest.split(|c| !is_name(c)).next().unwrap());
    }
    names
}

#[test]
fn imports_run_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = order(&src);
    let place = |name: &str| order.iter().position(|module| module == name);
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in &files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str();
        let module = first.to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let own = place(module).unwrap_or_else(|| panic!("{module} is not in src/lib.rs"));
        let top_level = relative.components().count() == 1;
        let text = fs::read_to_string(file).unwrap();
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            // At the top level `super` is the root, whose names must come by their modules.
            if top_level && line.starts_with("use super::") {
                wrong.push(format!("{}:{}: {line}", relative.display(), number + 1));
            }
            for name in imports(line) {
                count += 1;
                if place(name).is_none_or(|place| place > own) {
                    wrong.push(format!("{}:{}: {line}", relative.display(), number + 1));
                }
            }
        }
    }
    assert!(count > 100, "only {count} imports were found");
    assert!(wrong.is_empty(), "against the order:\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_found() {
    assert_eq!(imports("use crate::error::Error;"), ["error"]);
    assert_eq!(imports("f(crate::a::b, crate::Root)"), ["a", "Root"]);
    assert_eq!(imports("use crate::{a, b};"), [""]);
    assert!(imports("other_crate::x").is_empty());
}
