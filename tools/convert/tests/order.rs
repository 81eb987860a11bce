//! The tables in `src/lib.rs` and `src/import/mod.rs` state the order of the modules: each imports
//! only from those above it, or from its own row. This test reads the sources and fails on an
//! import against that order.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The row of each module in the table of a file's documentation.
fn rows(file: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(file).unwrap();
    let table = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let mut rows = BTreeMap::new();
    for (row, line) in table.enumerate() {
        let (cell, _) = line.split_once('|').unwrap();
        let names = cell.split('`').skip(1).step_by(2);
        rows.extend(names.map(|name| (name.to_owned(), row)));
    }
    rows
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

/// The modules that a line of code names after `prefix`, also in braces.
fn modules<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        if line[..at].ends_with(|c| is_name(c) || c == ':') {
            continue;
        }
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(list.split(['{', '}', ',', ';']).map(str::trim)),
            None => names.push(rest),
        }
    }
    let first = |path: &'a str| path.split(|c| !is_name(c)).next().unwrap_or_default();
    let is_module = |name: &&str| name.starts_with(|c: char| c.is_lowercase());
    names.into_iter().map(first).filter(is_module).collect()
}

/// Checks the imports of all files in a folder. Returns how many there were.
fn check(folder: &Path, table: &str, prefix: &str) -> usize {
    let rows = rows(&folder.join(table));
    assert!(rows.len() > 4, "no table in {table}");
    let mut files = Vec::new();
    sources(folder, &mut files);
    let mut count = 0;
    for file in &files {
        let relative = file.strip_prefix(folder).unwrap();
        let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
        let own = parts[0].trim_end_matches(".rs");
        if relative == Path::new(table) || relative.ends_with("tests.rs") {
            continue;
        }
        let row = *rows
            .get(own)
            .unwrap_or_else(|| panic!("{own} is not in the table of {table}"));
        // The folder is `super` in its files and in the `mod.rs` of its folders.
        let is_child = parts.len() == 1 || parts[1..] == ["mod.rs"];
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let mut found = modules(line, prefix);
            if is_child && line.starts_with("use super::") {
                found.extend(modules(line, "super::"));
            }
            for name in found.into_iter().filter(|name| *name != own) {
                count += 1;
                let at = rows
                    .get(name)
                    .unwrap_or_else(|| panic!("{own}: {line}: not in the table"));
                assert!(*at <= row, "{}: {line}", relative.display());
            }
        }
    }
    count
}

#[test]
fn imports_run_upwards_in_the_tables() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(check(&src, "lib.rs", "crate::") > 30);
    assert!(check(&src.join("import"), "mod.rs", "crate::import::") > 30);
}

#[test]
fn modules_are_found() {
    assert_eq!(modules("use crate::error::Error;", "crate::"), ["error"]);
    assert_eq!(
        modules("use super::{Kind, names, a::B};", "super::"),
        ["names", "a"]
    );
    assert!(modules("other_crate::x; crate::Error", "crate::").is_empty());
}
