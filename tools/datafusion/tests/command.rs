//! The example program.

mod common;

use std::process::{Command, Output};

use common::{Kind, batch, expected, pairs, ranker, write_parquet};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanerank-datafusion"))
        .args(args)
        .env_remove("LANERANK_MODEL")
        .output()
        .expect("the program starts")
}

#[test]
fn prints_the_best() {
    let pairs = pairs(300);
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), &batch(&pairs, Kind::Utf8, Kind::Utf8), 1);
    let file = folder.path().join("0.parquet");
    let sql = "SELECT id, rerank_score(query, passage) AS score FROM pairs \
               ORDER BY score DESC NULLS LAST LIMIT 1";
    let scores = expected(&ranker(), &pairs);
    let best = scores
        .iter()
        .flatten()
        .copied()
        .max_by(f32::total_cmp)
        .unwrap();
    let id = scores
        .iter()
        .position(|&score| score == Some(best))
        .unwrap();
    for partitions in ["1", "2"] {
        let output = run(&[file.to_str().unwrap(), sql, partitions]);
        assert!(output.status.success(), "{output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(
            printed.contains(&format!("| {id} ")) && printed.contains(&best.to_string()),
            "{printed}"
        );
    }
}

#[test]
fn mistakes_are_one_line() {
    for (args, code, words) in [
        (&["x.parquet"][..], 2, "usage"),
        (&["x.parquet", "SELECT 1", "0"], 2, "usage"),
        (
            &["/no/such/file.parquet", "SELECT 1"],
            1,
            "/no/such/file.parquet",
        ),
    ] {
        let output = run(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(
            error.contains(words) && error.trim_end().lines().count() == 1,
            "{error}"
        );
    }
}
