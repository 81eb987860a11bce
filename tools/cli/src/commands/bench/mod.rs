//! `lanerank bench`: the time of requests on this machine, and the speed of the kernels.

mod tables;
mod workload;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use lanerank::Ranker;
use lanerank::kernels::Kernels;
use lanerank_bench::callers::{self, CallerRow, MAX_CALLERS};
use lanerank_bench::curve::{self, Axis};
use lanerank_bench::error::BenchError;
use lanerank_bench::requests::{self, RequestRow};
use lanerank_bench::workload::{Workload, built_in};
use lanerank_bench::{kernels, plot, saved};
use serde::Serialize;

use super::arguments::model::RankerArgs;
use crate::failure::Failure;
use crate::output;

/// Measure requests from text to sorted scores; or kernels, callers, curves
///
/// By default, the median time of each request of a workload. Threads are not pinned: for stable
/// figures, run `taskset -c 1 lanerank bench --threads 1` on an idle machine.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    ranker: RankerArgs,

    /// Requests to time: {"name": {"query": ..., "passages": [...]}} [default: a small built-in
    /// set]
    #[arg(long, value_name = "FILE.json")]
    workload: Option<PathBuf>,

    /// Runs per request; with --callers, per caller [default: 41, fewer if a run takes over 60 ms;
    /// with --callers, 20000 in all or 5 seconds]
    #[arg(long, value_name = "N")]
    runs: Option<usize>,

    /// Median and tail latencies while 1, 2, .. threads call one ranker
    #[arg(
        long,
        value_name = "1,2,8",
        value_delimiter = ',',
        value_parser = RangedU64ValueParser::<u16>::new().range(1..=u64::from(MAX_CALLERS)),
        conflicts_with_all = ["kernels", "curve", "plot"]
    )]
    callers: Vec<u16>,

    /// Each kernel at the shapes of three models, on each tier (or that of LANERANK_ISA), on one
    /// thread, with the peaks of this machine: multiply-adds in registers with the tier's
    /// instructions, and read bandwidth. The fastest of many short runs. A multiply-add is two
    /// operations; operations without multiply-adds are compared with the second-level cache's
    /// bandwidth. Needs no model
    #[arg(long, conflicts_with_all = ["workload", "runs", "curve"])]
    kernels: bool,

    /// Only kernels with TEXT in `operation/shape/tier`
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["workload", "runs", "callers", "curve"])]
    filter: Option<String>,

    /// The time of a passage against its tokens or the model's layers, on each tier (or that of
    /// LANERANK_ISA)
    #[arg(long, value_name = "AXIS", conflicts_with_all = ["workload", "runs", "callers"])]
    curve: Option<CurveAxis>,

    /// What each optimisation saves on the workload's longest request, on one thread: the time with
    /// and without it
    #[arg(long, conflicts_with_all = ["runs", "callers", "kernels", "curve", "filter", "plot"])]
    saved: bool,

    /// Draw the curve; without --curve a roofline of the kernels: peaks, bandwidths, and each
    /// kernel
    #[arg(long, value_name = "OUT.svg", conflicts_with_all = ["workload", "runs"])]
    plot: Option<PathBuf>,

    /// Write a JSON object
    #[arg(long)]
    json: bool,
}

/// The x axis of `--curve`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum CurveAxis {
    /// Tokens of query and passage together, up to the model's maximum
    Tokens,
    /// 1 to 12 layers of the model's shape, with random int8 weights and 8-bit activations
    Layers,
}

#[derive(Serialize)]
struct Report<Row> {
    model: String,
    kernels: String,
    threads: Option<usize>,
    max_length: usize,
    requests: Vec<Row>,
}

/// Runs the command.
///
/// # Errors
/// When model or workload is wrong, or the answer or picture cannot be written.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    if args.runs == Some(0) {
        return Err(Failure::Usage(
            "--runs 0: at least one run is needed".into(),
        ));
    }
    if let Some(axis) = args.curve {
        refuse_ignored(args, "--curve")?;
        return run_curve(args, axis);
    }
    if args.kernels || args.plot.is_some() || args.filter.is_some() {
        refuse_ignored(args, "--kernels")?;
        return run_kernels(args);
    }
    let workload = match &args.workload {
        Some(path) => workload::read(path)?,
        None => built_in(),
    };
    if args.saved {
        refuse_ignored(args, "--saved")?;
        return run_saved(args, &workload);
    }
    let ranker = args.ranker.ranker()?;
    if args.callers.is_empty() {
        run_requests(args, &ranker, &workload)
    } else {
        run_callers(args, &ranker, &workload)
    }
}

/// Refuses arguments that have no effect in this mode.
fn refuse_ignored(args: &BenchArgs, mode: &str) -> Result<(), Failure> {
    let given = &args.ranker;
    let ignored = [
        (
            "--threads",
            given.limits.threads.is_some() && mode != "--curve",
        ),
        ("--max-length", given.limits.max_length.is_some()),
        ("--special-tokens-as-text", given.special_tokens_as_text),
    ];
    match ignored.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Failure::Usage(format!("{name} has no effect on {mode}"))),
        None => Ok(()),
    }
}

/// Shows progress on standard error.
fn progress(unit: &'static str) -> impl FnMut(usize, usize) {
    let mut bar = None;
    move |done, total| {
        let bar = bar.get_or_insert_with(|| output::progress(total as u64, unit));
        bar.set_position(done as u64);
        if done == total {
            bar.finish_and_clear();
        }
    }
}

fn run_requests(args: &BenchArgs, ranker: &Ranker, workload: &Workload) -> Result<(), Failure> {
    let mut progress = progress("requests");
    progress(0, workload.len());
    let mut rows: Vec<RequestRow> = Vec::with_capacity(workload.len());
    for (name, request) in workload {
        rows.push(requests::measure(ranker, name, request, args.runs)?);
        progress(rows.len(), workload.len());
    }
    print(args, ranker, rows, tables::requests)
}

fn run_callers(args: &BenchArgs, ranker: &Ranker, workload: &Workload) -> Result<(), Failure> {
    let total = workload.len() * args.callers.len();
    let mut progress = progress("requests");
    progress(0, total);
    let mut rows: Vec<CallerRow> = Vec::new();
    for (name, request) in workload {
        for &count in &args.callers {
            rows.push(callers::measure(ranker, name, request, count, args.runs)?);
            progress(rows.len(), total);
        }
    }
    print(args, ranker, rows, tables::callers)
}

fn print<Row: Serialize>(
    args: &BenchArgs,
    ranker: &Ranker,
    requests: Vec<Row>,
    write: impl FnOnce(&[Row], &mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let report = Report {
        model: args.ranker.model.name(),
        kernels: ranker.kernels().isa().to_string(),
        threads: args.ranker.limits.threads,
        max_length: ranker.max_length(),
        requests,
    };
    if args.json {
        return output::print(|out| output::write_json(out, &report));
    }
    let threads = match report.threads {
        Some(count) => format!("{count} threads"),
        None => "all threads".into(),
    };
    let heading = format!("{} on {}, {threads}", report.model, report.kernels);
    output::print(|out| {
        writeln!(out, "{}", output::flat(&heading))?;
        write(&report.requests, out)
    })
}

fn run_kernels(args: &BenchArgs) -> Result<(), Failure> {
    let filter = args.filter.as_deref().unwrap_or_default();
    let report = kernels::measure(filter, &mut progress("kernels"))?;
    if let Some(path) = &args.plot {
        plot::rooflines(path, &report)?;
    }
    show(args, &report, tables::kernels)
}

/// Prints a report as JSON or as tables.
fn show<R: Serialize>(
    args: &BenchArgs,
    report: &R,
    write: impl FnOnce(&R, &mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    output::print(|out| {
        if args.json {
            output::write_json(out, report)
        } else {
            write(report, out)
        }
    })
}

fn run_curve(args: &BenchArgs, axis: CurveAxis) -> Result<(), Failure> {
    let axis = match axis {
        CurveAxis::Tokens => Axis::Tokens,
        CurveAxis::Layers => Axis::Layers,
    };
    let tiers = kernels::tiers()?;
    let model = args.ranker.model.open()?;
    let name = args.ranker.model.name();
    let threads = args.ranker.limits.threads;
    let mut progress = progress("points");
    let report = curve::measure(name, &model, axis, threads, &tiers, &mut progress)?;
    if let Some(path) = &args.plot {
        plot::curve(path, &report)?;
    }
    show(args, &report, tables::curve)
}

fn run_saved(args: &BenchArgs, workload: &Workload) -> Result<(), Failure> {
    let model = args.ranker.model.open()?;
    let kernels = Kernels::from_env().map_err(lanerank::Error::from)?;
    let report = saved::measure(args.ranker.model.name(), &model, workload, kernels)?;
    show(args, &report, tables::saved)
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::NoCase { .. } => Failure::Usage(format!("--filter: {error}")),
            BenchError::NoPassages => Failure::Usage("--saved: no request has passages".into()),
            BenchError::NoPeaks => Failure::Usage(format!("--plot: {error}")),
            BenchError::Threads { .. } => Failure::Failed(format!("--callers: {error}")),
            BenchError::Picture { .. } | BenchError::Write(_) => Failure::Failed(error.to_string()),
            BenchError::Library(source) => source.into(),
        }
    }
}
