//! Runs a request: items into batches, batches through the model, on several threads.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::layers::attention::Prefix;
use crate::scorer::Scorer;
use crate::scratch::Scratch;
use crate::sync::{Pool, lock};
use crate::threads::{Threads, Worker};
use crate::tokenizer::{BYTES_PER_TOKEN, Truncation};

/// Rows of a batch: enough for efficient matrix products, few enough that the activations of a
/// small model stay in the second-level cache.
const BATCH_ROWS: usize = 256;
/// Rows of a batch under a deadline. The clock is read between batches, so they are half as long.
const DEADLINE_BATCH_ROWS: usize = BATCH_ROWS / 2;
/// Batches per thread, at least: a thread that is done early finds more work.
const BATCHES_PER_THREAD: usize = 4;

/// How often a request asks whether to stop.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Says whether to stop a request.
pub(crate) type Interrupt = dyn Fn() -> bool + Send + Sync;

/// A scorer, and the threads to run it on.
pub(crate) struct Engine {
    pub(crate) scorer: Scorer<'static>,
    pub(crate) threads: Threads,
    interrupt: Option<Box<Interrupt>>,
    scratch: Pool<Scratch>,
}

/// When to compute a batch and when to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Rows to collect before a batch is computed.
    rows: usize,
    deadline: Option<Instant>,
}

impl Pace {
    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl Engine {
    pub(crate) fn new(
        scorer: Scorer<'static>,
        threads: Threads,
        interrupt: Option<Box<Interrupt>>,
    ) -> Self {
        Engine {
            scorer,
            threads,
            interrupt,
            scratch: Pool::default(),
        }
    }

    /// Lends the memory of one worker.
    pub(crate) fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        self.scratch.lend(work)
    }

    /// The pace for about `total` rows: large batches, but enough of them for every thread.
    pub(crate) fn pace(&self, deadline: Option<Instant>, total: impl FnOnce() -> usize) -> Pace {
        let most = match deadline {
            Some(_) => DEADLINE_BATCH_ROWS,
            None => BATCH_ROWS,
        };
        let rows = match self.threads.count() {
            1 => most,
            threads => (total() / (BATCHES_PER_THREAD * threads)).clamp(1, most),
        };
        Pace { rows, deadline }
    }

    /// The pace for these texts.
    pub(crate) fn pace_of(&self, texts: &[impl AsRef<str>], deadline: Option<Instant>) -> Pace {
        let most = self.scorer.max_length;
        let tokens = |text: &str| (text.len() / BYTES_PER_TOKEN).min(most);
        self.pace(deadline, || {
            texts.iter().map(|text| tokens(text.as_ref())).sum()
        })
    }

    /// Computes all items and puts their results into `results`, whose memory is reused.
    ///
    /// `push` adds an item to the worker's batch. `finish` makes its result of the item's
    /// truncation and of the model's output. Items are begun in order. Those not begun before the
    /// deadline have no result.
    ///
    /// # Errors
    /// [`Error::Interrupted`], and [`Error::Threads`] if the pool cannot be started.
    pub(crate) fn run<T: Sync, R: Send>(
        &self,
        items: &[T],
        pace: Pace,
        prefix: &Prefix,
        results: &mut Vec<Option<R>>,
        push: impl Fn(&T, &mut Scratch) -> Truncation + Sync,
        finish: impl Fn(Truncation, &[f32]) -> R + Sync,
    ) -> Result<(), Error> {
        results.clear();
        results.resize_with(items.len(), || None);
        let results = Mutex::new(&mut results[..]);
        let next = AtomicUsize::new(0);
        let stop = Stop::default();
        let fill = |scratch: &mut Scratch, asker: &mut Asker<'_>| {
            scratch.batch.clear();
            scratch.pending.clear();
            while scratch.batch.full_rows() < pace.rows && !pace.is_late() {
                asker.ask()?;
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(i) else { break };
                let truncation = push(item, scratch);
                scratch.pending.push((i, truncation));
            }
            if scratch.pending.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let width = self.scorer.out_width();
        let work = |worker| {
            let mut asker = stop.asker(worker, self.interrupt.as_deref());
            self.with_scratch(|scratch| {
                while fill(scratch, &mut asker).is_continue() {
                    let mut watch = |_: &[f32]| asker.ask();
                    let ran = self.scorer.run_watched(prefix, scratch, &mut watch);
                    if ran.is_break() {
                        return;
                    }
                    let mut results = lock(&results);
                    let outputs = scratch.out.chunks_exact(width);
                    for (&(i, truncation), out) in scratch.pending.iter().zip(outputs) {
                        results[i] = Some(finish(truncation, out));
                    }
                }
            });
        };
        self.threads.run(items.len(), work)?;
        if stop.is_set() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// Whether a request is to stop, for all its threads.
#[derive(Default)]
struct Stop(AtomicBool);

impl Stop {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The view of one worker. Only the calling thread asks `interrupt`.
    fn asker<'a>(&'a self, worker: Worker, interrupt: Option<&'a Interrupt>) -> Asker<'a> {
        Asker {
            stop: self,
            interrupt: interrupt.filter(|_| worker == Worker::Caller),
            asked: Instant::now(),
        }
    }
}

/// Asks now and then whether to stop.
struct Asker<'a> {
    stop: &'a Stop,
    interrupt: Option<&'a Interrupt>,
    asked: Instant,
}

impl Asker<'_> {
    /// Breaks if the request is to stop.
    fn ask(&mut self) -> ControlFlow<()> {
        if let Some(interrupt) = self.interrupt
            && self.asked.elapsed() >= ASK_EVERY
        {
            if interrupt() {
                self.stop.0.store(true, Ordering::Relaxed);
            }
            self.asked = Instant::now();
        }
        if self.stop.is_set() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
