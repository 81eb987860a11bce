//! Latencies of single requests while several threads call one ranker.

use std::io::{self, Write};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use lanerank::Ranker;
use serde::Serialize;

use super::statistics::quantile;
use super::workload::Request;
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

/// Without a number of runs, a measurement ends after this time or so many requests.
const BUDGET: Duration = Duration::from_secs(5);
const REQUESTS: usize = 20_000;

/// Most calling threads.
pub const MAX_CALLERS: u16 = 1024;

/// One request under some number of callers.
#[derive(Debug, Serialize)]
pub struct CallerRow {
    /// The request.
    pub name: String,
    /// Its passages.
    pub passages: usize,
    /// Threads that call at the same time, each again as soon as it is answered.
    pub callers: u16,
    /// Requests that were answered.
    pub samples: usize,
    /// Answers a second of all callers together.
    pub requests_per_s: f64,
    /// Half of the requests took no longer.
    pub p50_ms: Option<f64>,
    /// None where there are too few samples: less than 100.
    pub p99_ms: Option<f64>,
    /// None where there are less than 1000.
    pub p999_ms: Option<f64>,
}

/// Threads wait here until all are ready.
#[derive(Default)]
struct Start {
    gate: RwLock<()>,
    ready: AtomicUsize,
    cancelled: AtomicBool,
}

impl Start {
    fn wait(&self) {
        self.ready.fetch_add(1, Ordering::Release);
        drop(self.gate.read());
    }
}

/// A caller's latencies in milliseconds, and how long it called.
type Calls = Result<(Vec<f64>, Duration), lanerank::Error>;

/// Measures a request; `runs` are those of each caller.
///
/// # Errors
/// When a request fails, or the system does not give so many threads.
pub fn measure(
    ranker: &Ranker,
    name: &str,
    request: &Request,
    callers: u16,
    runs: Option<usize>,
) -> Result<CallerRow, Failure> {
    let most = runs.unwrap_or(REQUESTS / usize::from(callers));
    let start = Start::default();
    let call = || -> Calls {
        // Each thread's memory is there before the clock counts.
        let warm = ranker.rerank(&request.query, &request.passages);
        start.wait();
        drop(warm?);
        let begun = Instant::now();
        let mut ms = Vec::new();
        let ended = |ms: &Vec<f64>| {
            let late = runs.is_none() && begun.elapsed() >= BUDGET;
            ms.len() >= most || late || start.cancelled.load(Ordering::Relaxed)
        };
        while !ended(&ms) {
            let sent = Instant::now();
            std::hint::black_box(ranker.rerank(&request.query, &request.passages)?);
            ms.push(sent.elapsed().as_secs_f64() * 1e3);
        }
        Ok((ms, begun.elapsed()))
    };
    let answers = call_together(callers, &start, call)?;
    let rate = |(ms, time): &(Vec<f64>, Duration)| ms.len() as f64 / time.as_secs_f64();
    let requests_per_s = answers.iter().map(rate).sum();
    let mut ms: Vec<f64> = answers.into_iter().flat_map(|(ms, _)| ms).collect();
    ms.sort_by(f64::total_cmp);
    let at = |q, least| (ms.len() >= least).then(|| quantile(&ms, q)).flatten();
    Ok(CallerRow {
        name: name.to_owned(),
        passages: request.passages.len(),
        callers,
        samples: ms.len(),
        requests_per_s,
        p50_ms: at(0.5, 1),
        p99_ms: at(0.99, 100),
        p999_ms: at(0.999, 1000),
    })
}

/// Runs `call` on so many threads, which begin when all are there.
fn call_together(
    callers: u16,
    start: &Start,
    call: impl Fn() -> Calls + Sync,
) -> Result<Vec<(Vec<f64>, Duration)>, Failure> {
    let call = &call;
    std::thread::scope(|scope| {
        let closed = start.gate.write();
        let mut threads: Vec<ScopedJoinHandle<'_, Calls>> = Vec::new();
        let mut refused = None;
        while threads.len() < callers.into() && refused.is_none() {
            match std::thread::Builder::new().spawn_scoped(scope, call) {
                Ok(thread) => threads.push(thread),
                Err(e) => refused = Some(format!("--callers {callers}: {e}")),
            }
        }
        // One that ended before it was ready panicked, which its join tells.
        let ended = |threads: &[ScopedJoinHandle<'_, Calls>]| {
            threads.iter().filter(|thread| thread.is_finished()).count()
        };
        while start.ready.load(Ordering::Acquire) + ended(&threads) < threads.len() {
            std::thread::sleep(Duration::from_millis(1));
        }
        start.cancelled.store(refused.is_some(), Ordering::Relaxed);
        drop(closed);
        let join = |thread: ScopedJoinHandle<'_, Calls>| match thread.join() {
            Ok(calls) => Ok(calls?),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let answers = threads.into_iter().map(join).collect();
        match refused {
            Some(reason) => Err(Failure::Failed(reason)),
            None => answers,
        }
    })
}

/// Writes rows for people.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(rows: &[CallerRow], out: &mut dyn Write) -> io::Result<()> {
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
        let ms = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.3}"));
        table.row([
            row.name.clone(),
            row.passages.to_string(),
            row.callers.to_string(),
            row.samples.to_string(),
            format!("{:.1}", row.requests_per_s),
            ms(row.p50_ms),
            ms(row.p99_ms),
            ms(row.p999_ms),
        ]);
    }
    table.write(out, output::terminal_width())
}
