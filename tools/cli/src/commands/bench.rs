//! `lanerank bench`: how long requests take here.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use lanerank::Ranker;
use serde::Serialize;

use super::model::RankerArgs;
use crate::bench::statistics::{Summary, run_count};
use crate::bench::workload::{self, Request};
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

/// Runs before the clock counts.
const WARM_UP: usize = 2;

/// Measure requests: text in to sorted scores out, after warm-up
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    ranker: RankerArgs,

    /// Requests to time: {"name": {"query": ..., "passages": [...]}} [default: a small set of our own]
    #[arg(long, value_name = "FILE.json")]
    workload: Option<PathBuf>,

    /// Runs a request [default: 41, or fewer where a run takes over 60 ms]
    #[arg(long, value_name = "N")]
    runs: Option<usize>,

    /// Write a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    model: String,
    kernels: String,
    threads: Option<usize>,
    max_length: usize,
    requests: Vec<RequestReport>,
}

#[derive(Serialize)]
struct RequestReport {
    name: String,
    passages: usize,
    runs: usize,
    p10_ms: f64,
    median_ms: f64,
    p90_ms: f64,
}

/// Runs the command.
///
/// # Errors
/// When model or workload is wrong, or the answer cannot be written.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    if args.runs == Some(0) {
        return Err(Failure::Usage(
            "--runs 0: at least one run is needed".into(),
        ));
    }
    let ranker = args.ranker.ranker()?;
    let workload = match &args.workload {
        Some(path) => workload::read(path)?,
        None => workload::built_in(),
    };
    let bar = output::progress(workload.len() as u64, "requests");
    let mut requests = Vec::with_capacity(workload.len());
    for (name, request) in workload {
        let times = measure(&ranker, &request, args.runs)?;
        requests.extend(Summary::of(&times).map(|summary| RequestReport {
            name,
            passages: request.passages.len(),
            runs: times.len(),
            p10_ms: summary.p10,
            median_ms: summary.median,
            p90_ms: summary.p90,
        }));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = Report {
        model: args.ranker.model.name(),
        kernels: ranker.kernels().isa().to_string(),
        threads: args.ranker.threads,
        max_length: ranker.max_length(),
        requests,
    };
    match args.json {
        true => output::print(|out| output::write_json(out, &report)),
        false => print_text(&report),
    }
}

fn measure(
    ranker: &Ranker,
    request: &Request,
    runs: Option<usize>,
) -> Result<Vec<Duration>, Failure> {
    let once = || -> Result<Duration, Failure> {
        let start = Instant::now();
        let hits = ranker.rerank(&request.query, &request.passages)?;
        let elapsed = start.elapsed();
        drop(std::hint::black_box(hits));
        Ok(elapsed)
    };
    let mut last = Duration::ZERO;
    for _ in 0..WARM_UP {
        last = once()?;
    }
    (0..runs.unwrap_or(run_count(last)))
        .map(|_| once())
        .collect()
}

fn print_text(report: &Report) -> Result<(), Failure> {
    let mut table = Table::new(&[
        "request",
        ">passages",
        ">runs",
        ">p10 ms",
        ">median ms",
        ">p90 ms",
    ]);
    for request in &report.requests {
        let ms = |value: f64| format!("{value:.3}");
        table.row([
            request.name.clone(),
            request.passages.to_string(),
            request.runs.to_string(),
            ms(request.p10_ms),
            ms(request.median_ms),
            ms(request.p90_ms),
        ]);
    }
    let threads = match report.threads {
        Some(count) => format!("{count} threads"),
        None => "all threads".into(),
    };
    let heading = format!("{} on {}, {threads}", report.model, report.kernels);
    output::print(|out| {
        writeln!(out, "{}", output::flat(&heading))?;
        table.write(out, output::terminal_width())
    })
}
