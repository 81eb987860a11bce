//! Prints measurements as tables.

use std::io::{self, Write};

use lanerank_bench::callers::CallerRow;
use lanerank_bench::curve::CurveReport;
use lanerank_bench::kernels::KernelReport;
use lanerank_bench::peaks::{Bandwidth, MEMORIES, Peaks};
use lanerank_bench::requests::RequestRow;
use lanerank_bench::saved::SavedReport;

use crate::output::{self, flat};
use crate::table::Table;

/// A number with `digits` decimals, or `-`.
fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |value| format!("{value:.digits$}"))
}

/// Writes times of requests.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn requests(rows: &[RequestRow], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "request",
        ">passages",
        ">runs",
        ">p10 ms",
        ">median ms",
        ">p90 ms",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.passages.to_string(),
            row.runs.to_string(),
            number(row.p10_ms, 3),
            number(row.median_ms, 3),
            number(row.p90_ms, 3),
        ]);
    }
    table.write(out, output::terminal_width())
}

/// Writes latencies under concurrent callers.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn callers(rows: &[CallerRow], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "request",
        ">passages",
        ">callers",
        ">samples",
        ">requests/s",
        ">p50 ms",
        ">p99 ms",
        ">p99.9 ms",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.passages.to_string(),
            row.callers.to_string(),
            row.samples.to_string(),
            format!("{:.1}", row.requests_per_s),
            number(row.p50_ms, 3),
            number(row.p99_ms, 3),
            number(row.p999_ms, 3),
        ]);
    }
    table.write(out, output::terminal_width())
}

/// Writes the peaks of the tiers, then the kernels.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn kernels(report: &KernelReport, out: &mut dyn Write) -> io::Result<()> {
    let width = output::terminal_width();
    peaks(&report.peaks).write(out, width)?;
    writeln!(out)?;
    let mut table = Table::new(&[
        "kernel",
        "shape",
        "model",
        "tier",
        ">us",
        ">GOP/s",
        ">GB/s",
        ">% of peak",
    ]);
    for row in &report.kernels {
        // The operations of row-wise kernels are an estimate, and not their bottleneck.
        let gops = row.arithmetic.then(|| format!("{:.1}", row.gops));
        table.row([
            row.op.to_owned(),
            row.shape.clone(),
            row.model.to_owned(),
            row.kernels.clone(),
            format!("{:.2}", row.us),
            gops.unwrap_or_default(),
            format!("{:.1}", row.gb_per_s),
            number(row.percent_of_peak, 0),
        ]);
    }
    table.write(out, width)
}

fn peaks(tiers: &[Peaks]) -> Table {
    let mut table = Table::new(&[
        "peaks",
        ">int8 GOP/s",
        ">int16 GOP/s",
        ">f32 GFLOP/s",
        ">GB/s 16 KB",
        ">256 KB",
        ">128 MB",
    ]);
    for peaks in tiers {
        let read = |i: usize| peaks.bandwidths.get(i).map(|b: &Bandwidth| b.gb_per_s);
        let mut cells = vec![peaks.kernels.clone()];
        cells.extend([peaks.int8_gops, peaks.int16_gops, peaks.f32_gflops].map(|x| number(x, 1)));
        cells.extend((0..MEMORIES.len()).map(|i| number(read(i), 1)));
        table.row(cells);
    }
    table
}

/// Writes the points of the curves.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn curve(report: &CurveReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", flat(&report.model), report.title())?;
    let mut table = Table::new(&["tier", ">at", "", ">ms a passage", ">us for each"]);
    for point in &report.points {
        table.row([
            point.kernels.clone(),
            point.x.to_string(),
            report.curve.name().to_owned(),
            format!("{:.4}", point.ms_per_passage),
            format!("{:.2}", 1e3 * point.ms_per_passage / point.x as f64),
        ]);
    }
    table.write(out, output::terminal_width())
}

/// Writes what each optimisation saves.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn saved(report: &SavedReport, out: &mut dyn Write) -> io::Result<()> {
    let heading = format!(
        "{} on {}, one thread: {} ({} passages, {} tokens, the longest {}): {:.2} ms",
        report.model,
        report.kernels,
        report.request,
        report.passages,
        report.tokens,
        report.longest,
        report.ms
    );
    writeln!(out, "{}", flat(&heading))?;
    if let Some(floor) = report.floor_ms {
        let share = 100.0 * floor / report.ms;
        writeln!(
            out,
            "its multiply-adds at the measured peaks: {floor:.2} ms, {share:.0} % of that"
        )?;
    }
    let mut table = Table::new(&[
        "saved by",
        "measured",
        ">ms",
        ">otherwise",
        ">saves",
        ">factor",
    ]);
    for row in &report.saved {
        table.row([
            row.what.to_owned(),
            row.measured.to_owned(),
            format!("{:.3}", row.ms),
            format!("{:.3}", row.without_ms),
            format!("{:.3}", row.without_ms - row.ms),
            format!("{:.2}", row.without_ms / row.ms),
        ]);
    }
    table.write(out, output::terminal_width())
}
