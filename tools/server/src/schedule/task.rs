//! One request's work, cut into pieces, and its results.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use lanerank::tokenizer::{Role, TokenizerScratch};
use lanerank::{Hit, Query, RerankOptions, Span, TruncationSide};
use tokio::sync::oneshot;

use crate::models::Loaded;

/// Target tokens of a piece when other requests wait: enough to fill a batch of the library's, few
/// enough that others wait a few milliseconds.
const PIECE: usize = 512;
/// Target tokens of the smallest piece that is worth a thread of its own.
const SMALL_PIECE: usize = 64;

/// The computation to do on the texts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Operation {
    /// Scores each text's relevance to this query.
    Rerank(String),
    /// Scores, and the contribution of each word.
    Explain(String),
    /// Computes each text's vector.
    Embed,
}

/// Options of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskOptions {
    /// No piece is started after this.
    pub(crate) deadline: Option<Instant>,
    /// Refuse texts that are too long instead of truncating them.
    pub(crate) refuse_truncation: bool,
    /// The side on which long texts are truncated.
    pub(crate) truncation_side: TruncationSide,
    /// Maximum tokens of a text that the model reads.
    pub(crate) max_text_tokens: Option<usize>,
    /// Maximum tokens to compute in all, plus those of the query beyond the model's maximum.
    pub(crate) max_tokens: usize,
}

/// One text's result.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// From [`Operation::Rerank`] and [`Operation::Explain`].
    Score {
        /// Score and truncation; `index` counts all texts of the request.
        hit: Hit,
        /// As in [`lanerank::Explanation`]; `None` unless asked for.
        spans: Option<Vec<Span>>,
    },
    /// From [`Operation::Embed`].
    Vector(Vec<f32>),
}

/// Why a task has no results.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskError {
    /// A text and the query are too long together, and must not be truncated.
    TooLong {
        /// The text's index.
        index: usize,
        /// Its tokens, with the query and the special tokens.
        tokens: usize,
        /// The model's maximum.
        most: usize,
    },
    /// The request has too many tokens.
    TooManyTokens {
        /// Tokens to compute.
        tokens: usize,
        /// The limit of a request.
        most: usize,
    },
    /// The computation failed.
    Failed(String),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::TooLong {
                index,
                tokens,
                most,
            } => write!(
                f,
                "text {index} has {tokens} tokens with the query; the model takes {most}"
            ),
            TaskError::TooManyTokens { tokens, most } => {
                write!(f, "{tokens} tokens to compute; a request may have {most}")
            }
            TaskError::Failed(what) => f.write_str(what),
        }
    }
}

/// The results of a task, partial if its deadline passed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// One per text; `None` if it was not reached.
    pub(crate) outputs: Vec<Option<Output>>,
    /// Tokens computed per text, with query and special tokens. Empty if no text was reached.
    pub(crate) tokens: Vec<usize>,
    /// When the first thread started on it.
    pub(crate) started: Option<Instant>,
}

/// The work that a thread takes from a task.
pub(super) enum Claim {
    /// None: every piece has been started.
    Nothing,
    /// Count the tokens first.
    Count,
    /// Compute these texts. The flag says whether more texts follow.
    Compute(Range<usize>, bool),
}

/// How much a task has to share the threads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Demand {
    /// Other tasks are waiting.
    Contended,
    /// This is the only task.
    Alone {
        /// Threads free to help.
        idle: usize,
    },
}

/// A request's work.
pub(crate) struct Task {
    model: Arc<Loaded>,
    operation: Operation,
    texts: Arc<Vec<String>>,
    options: TaskOptions,
    /// The query, read once when the tokens are counted.
    query: OnceLock<Query>,
    stopped: AtomicBool,
    progress: Mutex<Progress>,
}

struct Progress {
    outcome: Outcome,
    /// The first text that no thread has started.
    next: usize,
    /// Pieces being computed.
    running: usize,
    failure: Option<TaskError>,
    done: Option<oneshot::Sender<()>>,
}

impl Task {
    /// A task of at least one text, and a receiver that resolves when it is done.
    pub(crate) fn new(
        model: Arc<Loaded>,
        operation: Operation,
        texts: Arc<Vec<String>>,
        options: TaskOptions,
    ) -> (Arc<Task>, oneshot::Receiver<()>) {
        let (done, receiver) = oneshot::channel();
        let mut outputs = Vec::new();
        outputs.resize_with(texts.len(), || None);
        let progress = Progress {
            outcome: Outcome {
                outputs,
                ..Outcome::default()
            },
            next: 0,
            running: 0,
            failure: None,
            done: Some(done),
        };
        let task = Task {
            model,
            operation,
            texts,
            options,
            query: OnceLock::new(),
            stopped: AtomicBool::new(false),
            progress: Mutex::new(progress),
        };
        (Arc::new(task), receiver)
    }

    /// Starts no further piece.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Stops the task and takes its results.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn take(&self) -> Result<Outcome, TaskError> {
        self.stop();
        let mut progress = self.lock();
        match progress.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut progress.outcome)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn over(&self) -> bool {
        let late = |deadline| Instant::now() >= deadline;
        self.stopped.load(Ordering::Relaxed) || self.options.deadline.is_some_and(late)
    }

    /// Takes a piece, the smaller the more threads are free to help.
    pub(super) fn claim(&self, demand: Demand) -> Claim {
        let over = self.over();
        let mut progress = self.lock();
        progress.outcome.started.get_or_insert_with(Instant::now);
        if over || progress.failure.is_some() {
            progress.next = self.texts.len();
        }
        let next = progress.next;
        if next == self.texts.len() {
            progress.finish_if_idle();
            return Claim::Nothing;
        }
        let sharers = match demand {
            Demand::Contended => 1,
            Demand::Alone { idle } => idle + progress.running + 1,
        };
        progress.running += 1;
        if progress.outcome.tokens.is_empty() {
            return Claim::Count;
        }
        let piece = match self.operation {
            Operation::Explain(_) => 1,
            _ => piece(&progress.outcome.tokens[next..], sharers),
        };
        progress.next += piece;
        Claim::Compute(next..next + piece, progress.next < self.texts.len())
    }

    /// Reads the query, counts the tokens of all texts, and refuses a request beyond the limits.
    pub(super) fn count(&self, scratch: &mut TokenizerScratch) {
        let counted = self.counted(scratch);
        let mut progress = self.lock();
        match counted {
            Ok(tokens) => progress.outcome.tokens = tokens,
            Err(failure) => progress.failure = Some(failure),
        }
        progress.running -= 1;
    }

    fn counted(&self, scratch: &mut TokenizerScratch) -> Result<Vec<usize>, TaskError> {
        let tokenizer = &self.model.tokenizer;
        let most = self.model.ranker.max_length();
        let frame = tokenizer.frame();
        let query = match &self.operation {
            Operation::Rerank(text) | Operation::Explain(text) => {
                let read = || self.model.ranker.read_query(text, &self.rerank_options());
                self.query.get_or_init(read).tokens()
            }
            Operation::Embed => 0,
        };
        let around = match (&self.operation, &self.model.encoder) {
            (Operation::Rerank(_) | Operation::Explain(_), None) => query + frame.pair_overhead(),
            _ => frame.single_overhead(),
        };
        let role = match self.operation {
            Operation::Rerank(_) | Operation::Explain(_) => Role::Passage,
            Operation::Embed => Role::Text,
        };
        let mut tokens = Vec::with_capacity(self.texts.len());
        // Tokens of the query that were read but are too many for the model.
        let mut total = query.saturating_sub(most);
        for (index, text) in self.texts.iter().enumerate() {
            let own = tokenizer.count_as(role, text, scratch);
            let own = self.options.max_text_tokens.map_or(own, |cap| own.min(cap));
            if self.options.refuse_truncation && around + own > most {
                return Err(TaskError::TooLong {
                    index,
                    tokens: around + own,
                    most,
                });
            }
            let computed = (around + own).min(most);
            total += match self.operation {
                // Scored again without each word; there are at most as many words as tokens.
                Operation::Explain(_) => computed * (1 + computed.saturating_sub(around)),
                _ => computed,
            };
            tokens.push(computed);
        }
        if total > self.options.max_tokens {
            return Err(TaskError::TooManyTokens {
                tokens: total,
                most: self.options.max_tokens,
            });
        }
        Ok(tokens)
    }

    /// Computes a claimed piece.
    pub(super) fn compute(&self, piece: Range<usize>) {
        let computed = self.computed(&piece);
        let mut progress = self.lock();
        match computed {
            // Past the deadline the handler has already taken the outputs.
            Ok(outputs) if !progress.outcome.outputs.is_empty() => {
                for (place, output) in progress.outcome.outputs[piece].iter_mut().zip(outputs) {
                    *place = output;
                }
            }
            Ok(_) => {}
            Err(failure) => progress.failure = Some(failure),
        }
        progress.running -= 1;
        if progress.next == self.texts.len() {
            progress.finish_if_idle();
        }
    }

    fn computed(&self, piece: &Range<usize>) -> Result<Vec<Option<Output>>, TaskError> {
        let texts = &self.texts[piece.clone()];
        let failed = |e: lanerank::Error| match e {
            lanerank::Error::NotANumber { index } => {
                let index = piece.start + index;
                TaskError::Failed(lanerank::Error::NotANumber { index }.to_string())
            }
            e => TaskError::Failed(e.to_string()),
        };
        let options = self.rerank_options();
        let ranker = &self.model.ranker;
        let query = || {
            // Read before any piece is computed.
            let unread = || TaskError::Failed("the query was not read".to_owned());
            self.query.get().ok_or_else(unread)
        };
        match (&self.operation, &self.model.encoder) {
            (Operation::Rerank(_), _) => {
                let ranking = ranker.rerank_query(query()?, texts, &options);
                let mut outputs = vec![None; texts.len()];
                for hit in ranking.map_err(failed)?.hits {
                    let place = hit.index;
                    let index = piece.start + place;
                    let hit = Hit { index, ..hit };
                    outputs[place] = Some(Output::Score { hit, spans: None });
                }
                Ok(outputs)
            }
            (Operation::Explain(_), _) => {
                let query = query()?;
                let explain = |(index, text): (usize, &String)| {
                    let explanation = ranker
                        .explain_query(query, text, &options)
                        .map_err(failed)?;
                    let hit = Hit {
                        index,
                        score: explanation.score,
                        logit: explanation.logit,
                        fused: None,
                        truncation: explanation.truncation,
                    };
                    let spans = Some(explanation.spans);
                    Ok(Some(Output::Score { hit, spans }))
                };
                piece.clone().zip(texts).map(explain).collect()
            }
            (Operation::Embed, Some(encoder)) => {
                let vectors = encoder.encode(texts).map_err(failed)?;
                Ok(vectors
                    .into_iter()
                    .map(|v| Some(Output::Vector(v)))
                    .collect())
            }
            (Operation::Embed, None) => {
                Err(TaskError::Failed("the model is not an encoder".to_owned()))
            }
        }
    }

    fn rerank_options(&self) -> RerankOptions<'static> {
        RerankOptions {
            deadline: match self.operation {
                Operation::Explain(_) => self.options.deadline,
                _ => None,
            },
            truncation_side: self.options.truncation_side,
            max_passage_tokens: self.options.max_text_tokens,
            ..RerankOptions::default()
        }
    }

    /// Records that a piece panicked.
    pub(super) fn fail(&self) {
        let mut progress = self.lock();
        let failure = || TaskError::Failed("the computation was aborted".to_owned());
        progress.failure.get_or_insert_with(failure);
        progress.running -= 1;
        progress.next = self.texts.len();
        progress.finish_if_idle();
    }
}

impl Progress {
    fn finish_if_idle(&mut self) {
        if self.running == 0
            && let Some(done) = self.done.take()
        {
            // The receiver is gone if the client has disconnected.
            let _ = done.send(());
        }
    }
}

/// How many of these texts make a piece (at least one), for this many threads sharing them.
fn piece(tokens: &[usize], sharers: usize) -> usize {
    let target = match sharers {
        0 | 1 => PIECE,
        n => {
            let remaining: usize = tokens.iter().sum();
            // Two pieces per thread, so that threads finish together.
            (remaining / (2 * n)).clamp(SMALL_PIECE, PIECE)
        }
    };
    let mut sum = 0;
    let fits = |&&count: &&usize| {
        let before = sum;
        sum += count;
        // Include a text if that brings the sum nearer to the target.
        before + count / 2 <= target
    };
    tokens.iter().take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::piece;

    #[test]
    fn pieces_are_balanced_and_never_empty() {
        assert_eq!(piece(&[100; 50], 1), 5);
        assert_eq!(piece(&[5000], 1), 1);
        assert_eq!(piece(&[5000, 1], 2), 1);
        // Pieces of one text of 90 tokens, for two threads.
        assert_eq!(piece(&[90; 5], 2), 1);
        // Too small to divide.
        assert_eq!(piece(&[10; 4], 2), 4);
        let mut remaining = &[100; 100][..];
        while !remaining.is_empty() {
            let n = piece(remaining, 2);
            assert!((1..=6).contains(&n), "{n}");
            remaining = &remaining[n..];
        }
    }
}
