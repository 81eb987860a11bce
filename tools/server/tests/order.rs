//! The order of modules: a module imports only from modules above it in the tables of `lib.rs` and
//! `api/mod.rs`, and of `lib.rs` in `tools/requests`; and only the last ones know HTTP.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates of HTTP, which the transport-free modules must not name.
const HTTP: [&str; 5] = ["axum", "http_body_util", "hyper", "hyper_util", "tower"];

/// The modules in a file's table, top to bottom: rows such as `//! | `name` | purpose |`.
fn order(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cell = line.strip_prefix("//! | `")?;
        let (name, _) = cell.split_once('`')?;
        Some(name.to_owned())
    });
    rows.collect()
}

/// The modules in a folder and the files of each.
fn modules(folder: &Path) -> Vec<(String, Vec<PathBuf>)> {
    let entries = fs::read_dir(folder).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let mut modules = Vec::new();
    for path in entries {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            let files = fs::read_dir(&path).unwrap();
            modules.push((name, files.map(|file| file.unwrap().path()).collect()));
        } else if !["lib", "mod"].contains(&name.as_str()) {
            modules.push((name, vec![path]));
        }
    }
    for (_, files) in &mut modules {
        files.retain(|file| file.extension().is_some_and(|kind| kind == "rs"));
    }
    modules.retain(|(_, files)| !files.is_empty());
    modules
}

/// The code of a file, without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix` in a file: of `crate::a::B`, `a`; of `crate::{a, b::C}`, `a` and
/// `b`.
fn names(code: &str, prefix: &str) -> Vec<String> {
    let first = |item: &str| {
        let end = item.find(|c: char| !c.is_alphanumeric() && c != '_');
        item[..end.unwrap_or(item.len())].to_owned()
    };
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if code[..at].ends_with(word) {
            continue;
        }
        let after = &code[at + prefix.len()..];
        match after.strip_prefix('{') {
            None => names.push(first(after)),
            Some(list) => {
                let (list, _) = list.split_once('}').unwrap();
                let items = list.split(',').map(str::trim);
                names.extend(items.filter(|item| !item.is_empty()).map(first));
            }
        }
    }
    names
}

/// Checks one folder against its table; `prefix` is how its modules import each other.
fn check(folder: &Path, root: &str, prefix: &str) -> usize {
    let order = order(&folder.join(root));
    let place = |name: &str| order.iter().position(|known| known == name);
    let mut found: Vec<String> = Vec::new();
    let mut imports = 0;
    for (module, files) in modules(folder) {
        let own = place(&module).unwrap_or_else(|| panic!("{module}: not in the table of {root}"));
        for file in files {
            let names = names(&code(&file), prefix);
            for name in names.iter().filter(|name| !name.is_empty()) {
                let other = place(name);
                let other = other.unwrap_or_else(|| panic!("{module}: imports {prefix}{name}"));
                assert!(
                    other <= own,
                    "{}: {prefix}{name} is below it",
                    file.display()
                );
                imports += 1;
            }
        }
        found.push(module);
    }
    assert_eq!(found.len(), order.len(), "{order:?} {found:?}");
    imports
}

#[test]
fn imports_run_in_one_direction() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(check(&source, "lib.rs", "crate::") > 30);
    assert!(check(&source.join("api"), "mod.rs", "super::") > 20);
    let requests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../requests/src");
    assert!(check(&requests, "lib.rs", "crate::") > 5);
}

#[test]
fn only_the_api_and_the_sockets_know_http() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let order = order(&source.join("lib.rs"));
    let api = order.iter().position(|name| name == "api").unwrap();
    for (module, files) in modules(&source) {
        if order[api..].contains(&module) {
            continue;
        }
        for file in files {
            let code = code(&file);
            for name in HTTP {
                assert!(
                    !code.contains(&format!("{name}::")),
                    "{}: {name}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn routes_are_mounted_in_one_place() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut mounts = Vec::new();
    for (_, files) in modules(&source) {
        for file in files {
            let count = code(&file).matches(".route(").count();
            mounts.extend((0..count).map(|_| file.clone()));
        }
    }
    assert_eq!(mounts, [source.join("api/surface.rs")]);
}
