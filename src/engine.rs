//! Runs a request: items into batches, batches through the model, on several threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::layers::attention::Prefix;
use crate::scorer::Scorer;
use crate::scratch::Scratch;
use crate::sync::{Pool, lock};
use crate::threads::Threads;
use crate::tokenizer::{BYTES_PER_TOKEN, Truncation};

/// Rows of a batch: enough for efficient matrix products, few enough that the activations of a small
/// model stay in the second-level cache.
const BATCH_ROWS: usize = 256;
/// Rows of a batch under a deadline. The clock is read between batches, so they are half as long.
const DEADLINE_BATCH_ROWS: usize = BATCH_ROWS / 2;
/// Batches per thread, at least: a thread that is done early finds more work.
const BATCHES_PER_THREAD: usize = 4;

/// A scorer, and the threads to run it on.
pub(crate) struct Engine {
    pub(crate) scorer: Scorer<'static>,
    pub(crate) threads: Threads,
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
    pub(crate) fn new(scorer: Scorer<'static>, threads: Threads) -> Self {
        Engine {
            scorer,
            threads,
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
    /// `push` adds an item to the worker's batch. `finish` makes its result of the item's truncation
    /// and of the model's output. Items are begun in order. Those not begun before the deadline
    /// have no result.
    pub(crate) fn run<T: Sync, R: Send>(
        &self,
        items: &[T],
        pace: Pace,
        prefix: &Prefix,
        results: &mut Vec<Option<R>>,
        push: impl Fn(&T, &mut Scratch) -> Truncation + Sync,
        finish: impl Fn(Truncation, &[f32]) -> R + Sync,
    ) {
        results.clear();
        results.resize_with(items.len(), || None);
        let results = Mutex::new(&mut results[..]);
        let next = AtomicUsize::new(0);
        let fill = |scratch: &mut Scratch| {
            scratch.batch.clear();
            scratch.pending.clear();
            while scratch.batch.full_rows() < pace.rows && !pace.is_late() {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(i) else { break };
                let truncation = push(item, scratch);
                scratch.pending.push((i, truncation));
            }
            !scratch.pending.is_empty()
        };
        let width = self.scorer.out_width();
        let work = || {
            self.with_scratch(|scratch| {
                while fill(scratch) {
                    self.scorer.run(prefix, scratch);
                    let mut results = lock(&results);
                    let outputs = scratch.out.chunks_exact(width);
                    for (&(i, truncation), out) in scratch.pending.iter().zip(outputs) {
                        results[i] = Some(finish(truncation, out));
                    }
                }
            });
        };
        self.threads.run(items.len(), work);
    }
}
