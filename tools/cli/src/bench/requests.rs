//! Whole requests: text in to sorted scores out.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use lanerank::Ranker;
use serde::Serialize;

use super::statistics::{Summary, run_count};
use super::workload::Request;
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

/// Runs before the clock counts.
const WARM_UP: usize = 2;

/// How long a request takes.
#[derive(Debug, Serialize)]
pub struct RequestRow {
    /// The request.
    pub name: String,
    /// Its passages.
    pub passages: usize,
    /// Times it was timed.
    pub runs: usize,
    /// 10 % of the runs were faster. None where there was no run.
    pub p10_ms: Option<f64>,
    /// Half of the runs were faster.
    pub median_ms: Option<f64>,
    /// 90 % of the runs were faster.
    pub p90_ms: Option<f64>,
}

/// Times a request, `runs` times or as often as its length asks for.
///
/// # Errors
/// When the request fails.
pub fn measure(
    ranker: &Ranker,
    name: &str,
    request: &Request,
    runs: Option<usize>,
) -> Result<RequestRow, Failure> {
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
    let count = runs.unwrap_or(run_count(last));
    let times: Vec<Duration> = (0..count).map(|_| once()).collect::<Result<_, _>>()?;
    let summary = Summary::of(&times);
    Ok(RequestRow {
        name: name.to_owned(),
        passages: request.passages.len(),
        runs: count,
        p10_ms: summary.map(|summary| summary.p10),
        median_ms: summary.map(|summary| summary.median),
        p90_ms: summary.map(|summary| summary.p90),
    })
}

/// Writes rows for people.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(rows: &[RequestRow], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "request",
        ">passages",
        ">runs",
        ">p10 ms",
        ">median ms",
        ">p90 ms",
    ]);
    for row in rows {
        let ms = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.3}"));
        table.row([
            row.name.clone(),
            row.passages.to_string(),
            row.runs.to_string(),
            ms(row.p10_ms),
            ms(row.median_ms),
            ms(row.p90_ms),
        ]);
    }
    table.write(out, output::terminal_width())
}
