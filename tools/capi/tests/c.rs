//! The interface from C: compiles `program.c` with gcc against the archive and the shared library,
//! and runs it, also under valgrind.
//!
//! Skipped if there is no gcc. `LANERANK_REQUIRE_C=gcc` makes that a failure; `valgrind` also
//! requires valgrind.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanerank::{Hit, Ranker};

const QUERY: &str = "what is a river bank";
const PASSAGES: [&str; 4] = [
    "A bank lends money: loans, scores and ranking.",
    "The bank of a river is the land by the water.",
    "nul\0inside",
    "the river bank flooded and the water ran on, the dog ran with it. the river bank flooded and \
     the water ran on, the dog ran with it.",
];

/// Whether a program is installed. Panics if it is required and missing.
fn has(program: &str, required: &[&str]) -> bool {
    let found = Command::new(program).arg("--version").output();
    let has = found.is_ok_and(|output| output.status.success());
    let wanted = env::var("LANERANK_REQUIRE_C").unwrap_or_default();
    assert!(
        has || !required.contains(&wanted.as_str()),
        "LANERANK_REQUIRE_C is {wanted}, but there is no {program}"
    );
    if !has {
        eprintln!("no {program}: SKIPPED");
    }
    has
}

/// The folder of the built libraries: the one of this test.
fn libraries() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn model() -> PathBuf {
    folder().join("../../src/assets/default.lane")
}

/// Runs a command and returns its output. Panics with all its output if it fails.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}{stderr}",
        output.status
    );
    stdout
}

/// Compiles a program with warnings as errors.
fn compile(source: &str, standard: &str, link: &[&str], name: &str) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut gcc = Command::new("gcc");
    gcc.args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"]);
    gcc.arg("-I").arg(folder().join("include"));
    gcc.arg(folder().join(source)).arg("-o").arg(&out);
    gcc.arg("-L").arg(libraries()).args(link);
    run(&mut gcc);
    out
}

fn compile_static(source: &str, name: &str) -> PathBuf {
    let archive = libraries().join("liblanerank_capi.a");
    let archive = archive.to_str().unwrap();
    compile(
        source,
        "-std=c99",
        &[archive, "-lpthread", "-ldl", "-lm"],
        name,
    )
}

fn lines(name: &str, ranker: &Ranker) -> String {
    let scores = ranker.scores(QUERY, &PASSAGES).unwrap();
    let hits = ranker.rerank(QUERY, &PASSAGES).unwrap();
    let line = |(score, hit): (f32, Hit)| {
        format!(
            "{name} score {:08x} hit {} {:08x} {} {}\n",
            score.to_bits(),
            hit.index,
            hit.logit.to_bits(),
            hit.truncation.query_tokens,
            hit.truncation.passage_tokens
        )
    };
    scores.into_iter().zip(hits).map(line).collect()
}

/// The expected output: the library's own bits.
fn expected() -> String {
    let default = Ranker::new().unwrap();
    let short = Ranker::builder()
        .model(model())
        .max_length(24)
        .special_tokens_as_text(true);
    let short = short.build().unwrap();
    lines("default", &default) + &lines("file", &short) + &lines("memory", &default)
}

#[test]
fn a_c_program_gets_the_librarys_bits() {
    if !has("gcc", &["gcc", "valgrind"]) {
        return;
    }
    let linked = compile_static("tests/program.c", "program_static");
    assert_eq!(run(Command::new(linked).arg(model())), expected());
    let link = ["-llanerank_capi", "-lpthread"];
    let loaded = compile("tests/program.c", "-std=c11", &link, "program_shared");
    let mut loaded = Command::new(loaded);
    loaded.env("LD_LIBRARY_PATH", libraries());
    assert_eq!(run(loaded.arg(model())), expected());
}

#[test]
fn the_header_is_cpp_too() {
    if !has("g++", &[]) {
        return;
    }
    let mut gpp = Command::new("g++");
    gpp.args(["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    gpp.args(["-fsyntax-only", "-x", "c++"]);
    run(gpp.arg(folder().join("include/lanerank.h")));
}

#[test]
fn valgrind_finds_neither_an_error_nor_a_leak() {
    if !has("gcc", &["gcc", "valgrind"]) || !has("valgrind", &["valgrind"]) {
        return;
    }
    let program = compile_static("tests/program.c", "program_valgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=99", "--leak-check=full"]);
    // The thread pool's tables, one per process, are still reachable at the end.
    let lost = "definite,indirect,possible";
    valgrind.arg(format!("--show-leak-kinds={lost}"));
    valgrind.arg(format!("--errors-for-leak-kinds={lost}"));
    let known = folder().join("tests/valgrind.supp");
    valgrind.arg(format!("--suppressions={}", known.display()));
    // valgrind does not support AVX-512.
    valgrind.env("LANERANK_ISA", "portable");
    assert_eq!(run(valgrind.arg(program).arg(model())), expected());
}

#[test]
fn the_readmes_example_runs() {
    if !has("gcc", &["gcc", "valgrind"]) {
        return;
    }
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let code = fs::read_to_string(folder().join("examples/rerank.c")).unwrap();
    assert!(readme.contains(&code), "README.md has a different rerank.c");
    let program = compile_static("examples/rerank.c", "example");
    let input = Path::new(env!("CARGO_TARGET_TMPDIR")).join("passages.txt");
    let passages = "The lighthouse was built in 1847.\n\
        The refrigerator dries bread out; a paper bag in a box keeps it longest.\n\
        How to bake bread in a cast iron pot";
    fs::write(&input, passages).unwrap();
    let mut command = Command::new(program);
    command.arg("how do I keep bread fresh");
    command.stdin(fs::File::open(&input).unwrap());
    // The scores in the main README.
    assert_eq!(
        run(&mut command),
        "0.5089  The refrigerator dries bread out; a paper bag in a box keeps it longest.\n\
         0.4139  How to bake bread in a cast iron pot\n\
         0.0551  The lighthouse was built in 1847.\n"
    );
}
