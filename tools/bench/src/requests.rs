//! Whole requests, from text to sorted scores.

use std::time::{Duration, Instant};

use lanerank::Ranker;
use serde::Serialize;

use crate::error::BenchError;
use crate::statistics::{Summary, run_count};
use crate::workload::Request;

/// Runs before the clock starts.
const WARM_UP: usize = 2;

/// Time of a request.
#[derive(Debug, Serialize)]
pub struct RequestRow {
    /// The request.
    pub name: String,
    /// Number of passages.
    pub passages: usize,
    /// Number of timed runs.
    pub runs: usize,
    /// 10 % of the runs were faster. `None` without runs.
    pub p10_ms: Option<f64>,
    /// Median.
    pub median_ms: Option<f64>,
    /// 90 % of the runs were faster.
    pub p90_ms: Option<f64>,
}

/// Times a request: `runs` times, or a number of times that depends on its length.
///
/// # Errors
/// When the request fails.
pub fn measure(
    ranker: &Ranker,
    name: &str,
    request: &Request,
    runs: Option<usize>,
) -> Result<RequestRow, BenchError> {
    let once = || -> Result<Duration, lanerank::Error> {
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
