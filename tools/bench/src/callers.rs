//! Latencies of requests while several threads call one ranker.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use lanerank::Ranker;
use serde::Serialize;

use crate::error::BenchError;
use crate::statistics::quantile;
use crate::workload::Request;

/// Limits of a measurement without a given number of runs.
const BUDGET: Duration = Duration::from_secs(5);
const REQUESTS: usize = 20_000;

/// Maximum number of calling threads.
pub const MAX_CALLERS: u16 = 1024;

/// One request under a number of concurrent callers.
#[derive(Debug, Serialize)]
pub struct CallerRow {
    /// The request.
    pub name: String,
    /// Number of passages.
    pub passages: usize,
    /// Concurrent threads; each repeats its call as soon as it is answered.
    pub callers: u16,
    /// Answered requests.
    pub samples: usize,
    /// Answers a second, all callers together.
    pub requests_per_s: f64,
    /// Median latency.
    pub p50_ms: Option<f64>,
    /// `None` below 100 samples.
    pub p99_ms: Option<f64>,
    /// `None` below 1000 samples.
    pub p999_ms: Option<f64>,
}

/// A gate at which threads wait until all are ready.
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

/// A caller's latencies in milliseconds, and its total time.
type Calls = Result<(Vec<f64>, Duration), lanerank::Error>;

/// Measures a request; `runs` is per caller.
///
/// # Errors
/// When a request fails, or the system cannot start that many threads.
pub fn measure(
    ranker: &Ranker,
    name: &str,
    request: &Request,
    callers: u16,
    runs: Option<usize>,
) -> Result<CallerRow, BenchError> {
    let most = runs.unwrap_or(REQUESTS / usize::from(callers));
    let start = Start::default();
    let call = || -> Calls {
        // Warm up: allocates the thread's memory before the clock starts.
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

/// Runs `call` on `callers` threads, which start together.
fn call_together(
    callers: u16,
    start: &Start,
    call: impl Fn() -> Calls + Sync,
) -> Result<Vec<(Vec<f64>, Duration)>, BenchError> {
    let call = &call;
    std::thread::scope(|scope| {
        let closed = start.gate.write();
        let mut threads: Vec<ScopedJoinHandle<'_, Calls>> = Vec::new();
        let mut refused = None;
        while threads.len() < callers.into() && refused.is_none() {
            match std::thread::Builder::new().spawn_scoped(scope, call) {
                Ok(thread) => threads.push(thread),
                Err(source) => refused = Some(BenchError::Threads { callers, source }),
            }
        }
        // A thread that ends before it is ready has panicked; its join says so.
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
            Some(error) => Err(error),
            None => answers,
        }
    })
}
