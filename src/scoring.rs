//! Texts into batches, batches through the model, results by index.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use lanerank_kernels::Kernels;

use crate::batch::Token;
use crate::layers::attention::Prefix;
use crate::model::Model;
use crate::scratch::Scratch;
use crate::threads::Threads;
use crate::tokenizer::{Tokenizer, Truncation, TruncationSide, truncate_pair};

/// Rows of a batch: enough to use the matrix products well, few enough that the activations of a
/// small model stay in the second-level cache.
const BATCH_ROWS: usize = 256;
/// Rows of a batch where the clock must be looked at between batches.
const DEADLINE_BATCH_ROWS: usize = 128;
/// Bytes of text a token has at least on average; only used to cut small requests into portions.
const BYTES_PER_TOKEN: usize = 4;

/// A model, the kernels to compute it with, and the threads to compute it on.
pub(crate) struct Engine {
    pub model: Model,
    pub tokenizer: Tokenizer,
    pub kernels: &'static Kernels,
    pub threads: Threads,
    pub max_length: usize,
    scratch: Mutex<Vec<Scratch>>,
    queries: Mutex<Vec<PairQuery>>,
}

impl Engine {
    pub fn new(
        model: Model,
        tokenizer: Tokenizer,
        kernels: &'static Kernels,
        threads: Threads,
        max_length: usize,
    ) -> Self {
        Engine {
            model,
            tokenizer,
            kernels,
            threads,
            max_length,
            scratch: Mutex::default(),
            queries: Mutex::default(),
        }
    }

    /// Lends a worker its memory.
    pub fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        lend(&self.scratch, work)
    }

    /// Lends a request the memory of its query.
    pub fn with_query<T>(&self, work: impl FnOnce(&mut PairQuery) -> T) -> T {
        lend(&self.queries, work)
    }

    /// Puts every item through the model, about so many `rows` at once ([`Engine::batch_rows`]). `push`
    /// adds an item to the worker's batch and says what was cut from it; `emit` is given each finished batch.
    /// Items are begun in order; where the deadline passes, those not begun are left out.
    pub fn run<T: Sync>(
        &self,
        items: &[T],
        rows: usize,
        prefix: &Prefix,
        deadline: Option<Instant>,
        push: impl Fn(&T, &mut Scratch) -> Truncation + Sync,
        emit: impl Fn(&[(usize, Truncation)], &[f32]) + Sync,
    ) {
        let next = AtomicUsize::new(0);
        let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let fill = |scratch: &mut Scratch| {
            scratch.batch.clear();
            scratch.pending.clear();
            while scratch.batch.full_rows() < rows && !late() {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(i) else { break };
                let truncation = push(item, scratch);
                scratch.pending.push((i, truncation));
            }
            !scratch.pending.is_empty()
        };
        let work = || {
            self.with_scratch(|scratch| {
                while fill(scratch) {
                    self.model.bert().run(self.kernels, prefix, scratch);
                    emit(&scratch.pending, &scratch.out);
                }
            });
        };
        self.threads.run(items.len(), work);
    }

    /// Rows to collect before a batch of these texts is computed.
    pub fn batch_rows(&self, texts: &[impl AsRef<str>], deadline: Option<Instant>) -> usize {
        let tokens = |text: &str| (text.len() / BYTES_PER_TOKEN).min(self.max_length);
        self.rows_of(deadline, || {
            texts.iter().map(|text| tokens(text.as_ref())).sum()
        })
    }

    /// The same where there are `total` rows: less than usual where that would leave some threads without
    /// work.
    pub fn rows_of(&self, deadline: Option<Instant>, total: impl FnOnce() -> usize) -> usize {
        let most = match deadline {
            Some(_) => DEADLINE_BATCH_ROWS,
            None => BATCH_ROWS,
        };
        match self.threads.count() {
            1 => most,
            threads => (total() / (4 * threads)).clamp(1, most),
        }
    }
}

/// Gives `work` an element of the pool, or a new one, and puts it back.
fn lend<M: Default, T>(pool: &Mutex<Vec<M>>, work: impl FnOnce(&mut M) -> T) -> T {
    // A poisoned lock only means that a caller's closure panicked elsewhere.
    let lock = || pool.lock().unwrap_or_else(|e| e.into_inner());
    let mut memory = lock().pop().unwrap_or_default();
    let result = work(&mut memory);
    lock().push(memory);
    result
}

/// What of texts that are too long the model gets to see.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cut {
    /// The end that is cut.
    pub side: TruncationSide,
    /// Most tokens of a passage, however much room there is.
    pub max_passage: Option<usize>,
}

impl Cut {
    /// How many ids must be stored so that `budget` of them can be kept.
    fn limit(self, budget: usize) -> usize {
        match self.side {
            TruncationSide::Right => budget,
            TruncationSide::Left => usize::MAX,
        }
    }

    /// The `kept` ids that are not cut.
    fn keep(self, ids: &[u32], kept: usize) -> &[u32] {
        match self.side {
            TruncationSide::Right => &ids[..kept],
            TruncationSide::Left => &ids[ids.len() - kept..],
        }
    }

    /// Which of a passage's tokens are left where some are cut.
    pub fn kept(self, count: usize, lost: usize) -> std::ops::Range<usize> {
        match self.side {
            TruncationSide::Right => 0..count - lost,
            TruncationSide::Left => lost..count,
        }
    }

    /// How many of a passage's tokens may be seen, where there is room.
    pub fn seen(self, passage: usize) -> usize {
        self.max_passage.map_or(passage, |most| passage.min(most))
    }
}

/// A query, tokenised, and what all its pairs share.
#[derive(Default)]
pub(crate) struct PairQuery {
    /// Its ids, as many as can be needed.
    ids: Vec<u32>,
    /// Its number of tokens before truncation.
    count: usize,
    /// Tokens of a pair beside [CLS] and two [SEP].
    budget: usize,
    cut: Cut,
    pub prefix: Prefix,
}

impl PairQuery {
    /// Takes a query; what was there before is gone, its memory is used again.
    #[allow(clippy::too_many_arguments)]
    pub fn set(
        &mut self,
        model: &Model,
        tokenizer: &Tokenizer,
        kernels: &Kernels,
        query: &str,
        max_length: usize,
        cut: Cut,
        scratch: &mut Scratch,
    ) {
        self.budget = max_length - 3;
        self.cut = cut;
        self.ids.clear();
        let limit = cut.limit(self.budget);
        let buffers = &mut scratch.tokenizer;
        self.count = tokenizer.tokenize_into(query, limit, buffers, &mut self.ids);
        // From the left all were stored; no pair can have more than the last ones.
        self.ids.drain(..self.ids.len().saturating_sub(self.budget));
        let tokens = &mut self.prefix.tokens;
        tokens.clear();
        tokens.extend(pair_tokens(tokenizer, &self.ids, &[]));
        // The last token is the passage's [SEP].
        tokens.pop();
        let layers = &mut scratch.layers;
        model.bert().prefix(kernels, &mut self.prefix, layers);
    }

    /// Adds the pair of this query and a passage to the batch.
    pub fn push(&self, tokenizer: &Tokenizer, passage: &str, scratch: &mut Scratch) -> Truncation {
        let Scratch {
            ids,
            tokenizer: buffers,
            batch,
            ..
        } = scratch;
        ids.clear();
        let cut = self.cut;
        let count = tokenizer.tokenize_into(passage, cut.limit(self.budget), buffers, ids);
        let (query_kept, passage_kept) = truncate_pair(self.count, cut.seen(count), self.budget);
        let query = cut.keep(&self.ids, query_kept);
        let tokens = pair_tokens(tokenizer, query, cut.keep(ids, passage_kept));
        batch.push(&self.prefix.tokens, tokens);
        Truncation {
            query_tokens: self.count - query_kept,
            passage_tokens: count - passage_kept,
        }
    }
}

/// `[CLS] query [SEP] passage [SEP]`.
fn pair_tokens<'a>(
    tokenizer: &Tokenizer,
    query: &'a [u32],
    passage: &'a [u32],
) -> impl ExactSizeIterator<Item = Token> + Clone + use<'a> {
    let (cls, sep) = (tokenizer.cls_id(), tokenizer.sep_id());
    let separator = query.len() + 1;
    (0..query.len() + passage.len() + 3).map(move |i| Token {
        id: match i {
            0 => cls,
            _ if i < separator => query[i - 1],
            _ if i == separator => sep,
            _ => passage.get(i - separator - 1).copied().unwrap_or(sep),
        },
        position: i as u32,
        type_id: u8::from(i > separator),
    })
}

/// Adds `[CLS] text [SEP]` to the batch; says how many tokens were cut.
pub(crate) fn push_single(
    tokenizer: &Tokenizer,
    text: &str,
    max_length: usize,
    cut: Cut,
    scratch: &mut Scratch,
) -> usize {
    let budget = max_length - 2;
    let Scratch {
        ids,
        tokenizer: buffers,
        batch,
        ..
    } = scratch;
    ids.clear();
    let count = tokenizer.tokenize_into(text, cut.limit(budget), buffers, ids);
    let ids = cut.keep(ids, cut.seen(count).min(budget));
    let (cls, sep) = (tokenizer.cls_id(), tokenizer.sep_id());
    let tokens = (0..ids.len() + 2).map(|i| Token {
        id: match i {
            0 => cls,
            _ => ids.get(i - 1).copied().unwrap_or(sep),
        },
        position: i as u32,
        type_id: 0,
    });
    batch.push(&[], tokens);
    count - ids.len()
}
