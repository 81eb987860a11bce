//! `lanerank bench`: how long requests take here, and how fast the kernels are.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use lanerank::Ranker;
use lanerank::kernels::Kernels;
use serde::Serialize;

use super::model::RankerArgs;
use crate::bench::callers::{self, CallerRow, MAX_CALLERS};
use crate::bench::curve::{self, Axis};
use crate::bench::requests::{self, RequestRow};
use crate::bench::workload::{self, Workload};
use crate::bench::{kernels, plot, saved};
use crate::failure::Failure;
use crate::output;

/// Measure requests, text in to sorted scores out; or kernels, callers, curves
///
/// Without other choices, the median time of each request of a workload. Threads are not pinned: for
/// figures to keep, `taskset -c 1 lanerank bench --threads 1`, on a machine without other work.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    ranker: RankerArgs,

    /// Requests to time: {"name": {"query": ..., "passages": [...]}} [default: a small set of our own]
    #[arg(long, value_name = "FILE.json")]
    workload: Option<PathBuf>,

    /// Runs a request, with --callers of each caller [default: 41, or fewer where a run takes over 60
    /// ms; with --callers 20000 of all callers, or 5 seconds]
    #[arg(long, value_name = "N")]
    runs: Option<usize>,

    /// Median and tail of the requests' latencies while 1, 2, .. threads call one ranker
    #[arg(
        long,
        value_name = "1,2,8",
        value_delimiter = ',',
        value_parser = RangedU64ValueParser::<u16>::new().range(1..=u64::from(MAX_CALLERS)),
        conflicts_with_all = ["kernels", "curve", "plot"]
    )]
    callers: Vec<u16>,

    /// Each kernel at the shapes of three models, on each tier (or that of LANERANK_ISA), on one thread,
    /// beside the peaks of this machine: multiply-adds in registers with the tier's instructions, and
    /// reading. The fastest of many short runs. GOP/s are two a multiply-add; operations that are not
    /// multiply-adds are held against the second-level cache's bandwidth. Needs no model
    #[arg(long, conflicts_with_all = ["workload", "runs", "curve"])]
    kernels: bool,

    /// Of the kernels only those with TEXT in `operation/shape/tier`
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["workload", "runs", "callers", "curve"])]
    filter: Option<String>,

    /// How the time of a passage grows with its tokens, or with layers, on each tier (or that of
    /// LANERANK_ISA)
    #[arg(long, value_name = "AXIS", conflicts_with_all = ["workload", "runs", "callers"])]
    curve: Option<Axis>,

    /// What each piece of work that is left out or done at once saves on the workload's longest request,
    /// on one thread: its time as it is and otherwise
    #[arg(long, conflicts_with_all = ["runs", "callers", "kernels", "curve", "filter", "plot"])]
    saved: bool,

    /// Draw the curve; without --curve a roofline of the kernels: peaks, bandwidths, and where each
    /// kernel is
    #[arg(long, value_name = "OUT.svg", conflicts_with_all = ["workload", "runs"])]
    plot: Option<PathBuf>,

    /// Write a JSON object
    #[arg(long)]
    json: bool,
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
        None => workload::built_in(),
    };
    if args.saved {
        refuse_ignored(args, "--saved")?;
        return run_saved(args, &workload);
    }
    let ranker = args.ranker.ranker()?;
    match args.callers.is_empty() {
        true => run_requests(args, &ranker, &workload),
        false => run_callers(args, &ranker, &workload),
    }
}

/// What says how to run a model, where that is decided already.
fn refuse_ignored(args: &BenchArgs, mode: &str) -> Result<(), Failure> {
    let given = &args.ranker;
    let ignored = [
        ("--threads", given.threads.is_some() && mode != "--curve"),
        ("--max-length", given.max_length.is_some()),
        ("--special-tokens-as-text", given.special_tokens_as_text),
    ];
    match ignored.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(Failure::Usage(format!("{name} has no effect on {mode}"))),
        None => Ok(()),
    }
}

fn run_requests(args: &BenchArgs, ranker: &Ranker, workload: &Workload) -> Result<(), Failure> {
    let bar = output::progress(workload.len() as u64, "requests");
    let mut rows: Vec<RequestRow> = Vec::with_capacity(workload.len());
    for (name, request) in workload {
        rows.push(requests::measure(ranker, name, request, args.runs)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    print(args, ranker, rows, |rows, out| requests::write(rows, out))
}

fn run_callers(args: &BenchArgs, ranker: &Ranker, workload: &Workload) -> Result<(), Failure> {
    let bar = output::progress((workload.len() * args.callers.len()) as u64, "requests");
    let mut rows: Vec<CallerRow> = Vec::new();
    for (name, request) in workload {
        for &count in &args.callers {
            rows.push(callers::measure(ranker, name, request, count, args.runs)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    print(args, ranker, rows, |rows, out| callers::write(rows, out))
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
        threads: args.ranker.threads,
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
    let report = kernels::measure(args.filter.as_deref().unwrap_or_default())?;
    if let Some(path) = &args.plot {
        plot::rooflines(path, &report)?;
    }
    output::print(|out| match args.json {
        true => output::write_json(out, &report),
        false => report.write(out),
    })
}

fn run_curve(args: &BenchArgs, axis: Axis) -> Result<(), Failure> {
    let tiers = kernels::tiers()?;
    let model = args.ranker.model.open()?;
    let name = args.ranker.model.name();
    let report = curve::measure(name, &model, axis, args.ranker.threads, &tiers)?;
    if let Some(path) = &args.plot {
        report.plot(path)?;
    }
    output::print(|out| match args.json {
        true => output::write_json(out, &report),
        false => report.write(out),
    })
}

fn run_saved(args: &BenchArgs, workload: &Workload) -> Result<(), Failure> {
    let model = args.ranker.model.open()?;
    let kernels = Kernels::from_env().map_err(lanerank::Error::from)?;
    let longest = workload
        .iter()
        .max_by_key(|(_, request)| request.passages.len());
    let Some(request) = longest.filter(|(_, request)| !request.passages.is_empty()) else {
        return Err(Failure::Usage("--saved: no request has passages".into()));
    };
    let report = saved::measure(args.ranker.model.name(), &model, request, kernels)?;
    output::print(|out| match args.json {
        true => output::write_json(out, &report),
        false => report.write(out),
    })
}
