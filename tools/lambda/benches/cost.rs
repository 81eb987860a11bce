//! Costs of the function: time from process start to first answer, time of later answers, memory,
//! dollars. Optionally the same for FlashRank under `awslambdaric` (command: README.md).

#[path = "../tests/function/emulator.rs"]
mod emulator;
#[path = "../tests/function/events.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod events;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use emulator::Function;
use events::{Request, Trigger};
use serde_json::{Value, json};

/// Dollars per gigabyte-second, x86, first tier, us-east-1. From general knowledge as of
/// 2026-11-24: check this and [`INVOCATION`] against AWS's price list.
const GIGABYTE_SECOND: f64 = 0.000_016_666_7;
/// Dollars per invocation.
const INVOCATION: f64 = 0.20 / 1e6;
/// Megabytes of memory that come with one virtual core.
const ONE_CORE: f64 = 1769.0;

#[derive(Parser)]
struct Arguments {
    /// JSON with the requests `seed` and `rerank100`, each `query` and `passages`
    #[arg(long)]
    workload: PathBuf,
    /// Model file [default: the embedded model]
    #[arg(long)]
    model: Option<String>,
    /// FlashRank: a Python, the folder with `flashrank` and `awslambdaric`, the model's name, the
    /// folder with the model
    #[arg(long, num_args = 4, value_names = ["PYTHON", "PACKAGES", "NAME", "CACHE"])]
    flashrank: Option<Vec<String>>,
    /// Number of processes to start
    #[arg(long, default_value_t = 30)]
    starts: usize,
    /// Number of requests to send to the last process
    #[arg(long, default_value_t = 200)]
    requests: usize,
    /// Cargo passes this to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// A function to measure, and its measurements.
struct Candidate {
    name: &'static str,
    command: Box<dyn Fn() -> Function>,
    starts: Vec<f64>,
    memory: Vec<f64>,
}

fn main() {
    let arguments = Arguments::parse();
    let workload = std::fs::read(&arguments.workload).unwrap();
    let workload: Value = serde_json::from_slice(&workload).unwrap();
    let event = |name: &str| {
        let body = json!({"query": workload[name]["query"], "texts": workload[name]["passages"]});
        Trigger::HttpApi.event(&Request::post("/rerank", &body), false)
    };
    let (seed, hundred) = (event("seed"), event("rerank100"));
    let mut candidates = vec![lanerank(&arguments)];
    candidates.extend(arguments.flashrank.as_deref().map(flashrank));
    // Alternating, so that other load on the machine affects all alike.
    for _ in 0..arguments.starts {
        for candidate in &mut candidates {
            let begun = Instant::now();
            let mut function = (candidate.command)();
            answered(&mut function, &seed);
            candidate.starts.push(milliseconds(begun.elapsed()));
            candidate.memory.push(function.peak_memory() as f64 / 1e6);
        }
    }
    println!(
        "| function | start to first answer, ms (slowest) | peak MB then \
         | later answers, ms: seed | rerank100 | peak MB |"
    );
    println!("|---|---|---|---|---|---|");
    let mut costs = Vec::new();
    for candidate in &mut candidates {
        let slowest = candidate.starts.iter().copied().fold(0.0, f64::max);
        let mut function = (candidate.command)();
        let [seed, hundred] = [&seed, &hundred].map(|e| warm(&mut function, e, arguments.requests));
        println!(
            "| {} | {:.1} ({slowest:.1}) | {:.1} | {seed:.2} | {hundred:.2} | {:.1} |",
            candidate.name,
            median(&mut candidate.starts),
            median(&mut candidate.memory),
            function.peak_memory() as f64 / 1e6
        );
        costs.push((candidate.name, seed, hundred));
    }
    println!();
    for (name, seed, hundred) in costs {
        cost(name, "seed", seed);
        cost(name, "rerank100", hundred);
    }
}

fn lanerank(arguments: &Arguments) -> Candidate {
    let model = arguments.model.clone();
    let command = move || {
        let settings = model.as_deref().map(|model| ("LANERANK_MODEL", model));
        let settings: Vec<_> = settings
            .into_iter()
            .chain([("LANERANK_LOG", "warn")])
            .collect();
        Function::start(
            &mut Command::new(env!("CARGO_BIN_EXE_bootstrap")),
            &settings,
        )
    };
    candidate("lanerank", Box::new(command))
}

fn flashrank(parts: &[String]) -> Candidate {
    let [python, packages, name, cache] = parts else {
        unreachable!("clap checks the number")
    };
    let (python, name, cache) = (python.clone(), name.clone(), cache.clone());
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    let path = format!("{packages}:{here}");
    let command = move || {
        let mut command = Command::new(&python);
        command.args(["-m", "awslambdaric", "flashrank_handler.handler"]);
        let settings = [
            ("PYTHONPATH", path.as_str()),
            ("LAMBDA_TASK_ROOT", here),
            ("FLASHRANK_NAME", &name),
            ("FLASHRANK_CACHE", &cache),
        ];
        Function::start(&mut command, &settings)
    };
    candidate("FlashRank", Box::new(command))
}

fn candidate(name: &'static str, command: Box<dyn Fn() -> Function>) -> Candidate {
    Candidate {
        name,
        command,
        starts: Vec::new(),
        memory: Vec::new(),
    }
}

fn answered(function: &mut Function, event: &Value) {
    let answer = function.answer(event);
    assert_eq!(answer["statusCode"], 200, "{answer}");
}

/// Median milliseconds of an invocation in a running process.
fn warm(function: &mut Function, event: &Value, requests: usize) -> f64 {
    let mut times = Vec::new();
    for i in 0..requests + 5 {
        let begun = Instant::now();
        answered(function, event);
        if i >= 5 {
            times.push(milliseconds(begun.elapsed()));
        }
    }
    median(&mut times)
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints the cost of a million such requests. Lambda charges whole milliseconds.
fn cost(name: &str, request: &str, milliseconds: f64) {
    let billed = milliseconds.ceil();
    let seconds = billed / 1e3 * ONE_CORE / 1024.0 * 1e6;
    let dollars = seconds * GIGABYTE_SECOND + 1e6 * INVOCATION;
    println!(
        "{name}, a million `{request}`: {billed} ms x {ONE_CORE} MB = {seconds:.0} GB-s \
         x ${GIGABYTE_SECOND:.10} + $0.20 = ${dollars:.3}"
    );
}
