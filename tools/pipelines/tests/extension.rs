//! The SQL function as an extension, loaded by SQLite in this test and by the `sqlite3` program.

#![allow(unsafe_code, reason = "loading an extension runs its code")]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use lanerank::Ranker;
use rusqlite::Connection;

const QUERY: &str = "how do I keep bread fresh";
const TEXTS: [&str; 3] = [
    "The lighthouse was built in 1847.",
    "The refrigerator dries bread out; a paper bag in a box keeps it longest.",
    "How to bake bread in a cast iron pot",
];

/// Builds the extension, which cannot be a dependency of this test (see Cargo.toml).
fn extension() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // target/debug/deps/extension-0123456789abcdef
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap();
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/sqlite-extension/Cargo.toml");
        let (profile, folder) = if cfg!(debug_assertions) {
            ("dev", "debug")
        } else {
            ("release", "release")
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--profile", profile])
            .args(["--manifest-path", manifest, "--target-dir"])
            .arg(target)
            .status();
        assert!(status.unwrap().success());
        let name = format!("{DLL_PREFIX}lanerank_sqlite{DLL_SUFFIX}");
        target.join(folder).join(name)
    })
}

fn scores() -> Vec<f32> {
    Ranker::new().unwrap().scores(QUERY, &TEXTS).unwrap()
}

fn connection() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    // SAFETY: the library is the one built above, and nothing else uses this connection.
    unsafe {
        connection.load_extension_enable().unwrap();
        connection
            .load_extension(extension(), None::<&str>)
            .unwrap();
    }
    connection
}

#[test]
fn inside_a_process_every_connection_has_the_function() {
    for _ in 0..2 {
        let connection = connection();
        for (text, expected) in TEXTS.iter().zip(scores()) {
            let sql = "SELECT rerank_score(?1, ?2)";
            let score = connection.query_row(sql, [QUERY, *text], |row| row.get::<_, f64>(0));
            assert_eq!((score.unwrap() as f32).to_bits(), expected.to_bits());
        }
        let null = "SELECT rerank_score(NULL, 'a') IS NULL";
        assert!(
            connection
                .query_row(null, [], |row| row.get::<_, bool>(0))
                .unwrap()
        );
        let real = connection.query_row("SELECT rerank_score('a', 0.5)", [], |_| Ok(()));
        assert!(real.unwrap_err().to_string().contains("text is a REAL"));
    }
}

/// The shell's output and errors for a script.
fn shell(script: &str) -> (String, String) {
    let mut child = Command::new("sqlite3")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn the_shell_loads_it() {
    let version = Command::new("sqlite3").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        eprintln!("no sqlite3: SKIPPED");
        return;
    }
    let rows: Vec<String> = TEXTS.iter().map(|text| format!("('{text}')")).collect();
    let load = format!(".load {}\n", extension().display());
    let script = format!(
        "{load}CREATE VIRTUAL TABLE documents USING fts5(text, tokenize = 'porter unicode61');
        INSERT INTO documents(text) VALUES {};
        SELECT rowid, printf('%!.17g', rerank_score('{QUERY}', text)) AS score FROM documents
        WHERE documents MATCH 'bread OR lighthouse' ORDER BY rerank_score('{QUERY}', text) DESC;",
        rows.join(", ")
    );
    let (printed, errors) = shell(&script);
    assert_eq!(errors, "");
    let mut expected: Vec<(usize, f32)> = (1..).zip(scores()).collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let row = |line: &str| {
        let (rowid, score) = line.split_once('|').unwrap();
        (rowid.parse().unwrap(), score.parse::<f64>().unwrap() as f32)
    };
    let printed: Vec<(usize, f32)> = printed.lines().map(row).collect();
    assert_eq!(printed, expected);

    let (printed, errors) = shell(&format!("{load}SELECT rerank_score(x'00', 'a');\n"));
    assert_eq!(printed, "");
    assert!(
        errors.contains("rerank_score: query is a BLOB; write CAST(query AS TEXT)"),
        "{errors}"
    );
    let missing = format!("{load}SELECT rerank_score('a', 'b', '/no/such.lane');\n");
    assert!(shell(&missing).1.contains("/no/such.lane: No such file"));
}
