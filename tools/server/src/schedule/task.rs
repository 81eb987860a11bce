//! A request's work, cut into pieces, and what came of them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use lanerank::tokenizer::TokenizerScratch;
use lanerank::{RerankOptions, Span, Truncation, TruncationSide};
use tokio::sync::oneshot;

use crate::models::Loaded;

/// Tokens of a piece where other requests wait.
const PIECE: usize = 512;
/// Tokens of the smallest piece that is worth a thread of its own.
const SMALL_PIECE: usize = 64;

/// What is to be computed of the texts.
#[derive(Debug, Clone)]
pub enum Work {
    /// Their relevance for this query.
    Rerank(String),
    /// That, and which words it comes from.
    Explain(String),
    /// Their vectors.
    Embed,
}

/// Rules of one request.
#[derive(Debug, Clone, Copy)]
pub struct TaskOptions {
    /// Begin nothing after this.
    pub deadline: Option<Instant>,
    /// Refuse texts that are too long, rather than cut them.
    pub refuse_truncation: bool,
    /// From which end texts that are too long are cut.
    pub truncation_side: TruncationSide,
    /// Most tokens of a text that the model gets to see.
    pub max_text_tokens: Option<usize>,
    /// Most tokens in all.
    pub max_tokens: usize,
}

/// What came of one text.
#[derive(Debug, Clone)]
pub enum Output {
    /// Of a rerank.
    Score {
        /// As in [`lanerank::Hit`].
        score: f32,
        /// As in [`lanerank::Hit`].
        logit: f32,
        /// What the model did not see.
        truncation: Truncation,
        /// As in [`lanerank::Explanation`], where it was asked for.
        spans: Option<Vec<Span>>,
    },
    /// Of an embedding.
    Vector(Vec<f32>),
}

/// Why a task came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskError {
    /// A text with the query does not fit, and must not be cut.
    TooLong {
        /// The text.
        index: usize,
        /// Tokens it has with the query and the special tokens.
        tokens: usize,
        /// Tokens the model takes.
        most: usize,
    },
    /// All together are more tokens than a request may have.
    TooManyTokens {
        /// How many.
        tokens: usize,
        /// How many there may be.
        most: usize,
    },
    /// The library failed.
    Failed(String),
}

/// What a task has come to: all of it, or what there was when its time was up.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One for each text, `None` where it was not reached.
    pub outputs: Vec<Option<Output>>,
    /// Tokens that the model takes for each text, special tokens and query included. Empty where
    /// nothing was reached.
    pub tokens: Vec<usize>,
    /// When the first thread began with it.
    pub begun: Option<Instant>,
}

/// What a thread is to do.
pub(super) enum Claim {
    /// Nothing is left that nobody has begun.
    Nothing,
    /// Count the tokens first.
    Count,
    /// Compute these texts; whether there are more after them.
    Compute(Range<usize>, bool),
}

/// A request's work.
pub struct Task {
    model: Arc<Loaded>,
    work: Work,
    texts: Arc<Vec<String>>,
    options: TaskOptions,
    stopped: AtomicBool,
    progress: Mutex<Progress>,
}

struct Progress {
    outcome: Outcome,
    /// The first text that nobody has begun.
    next: usize,
    /// Pieces under way.
    running: usize,
    failure: Option<TaskError>,
    done: Option<oneshot::Sender<()>>,
}

impl Task {
    /// A task of at least one text, and what tells that it is done.
    pub fn new(
        model: Arc<Loaded>,
        work: Work,
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
            work,
            texts,
            options,
            stopped: AtomicBool::new(false),
            progress: Mutex::new(progress),
        };
        (Arc::new(task), receiver)
    }

    /// No further piece is begun.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Stops the task and takes what it has come to.
    ///
    /// # Errors
    /// Why it has come to nothing.
    pub fn take(&self) -> Result<Outcome, TaskError> {
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

    /// Takes a piece. `idle` is how many threads have nothing to do but to help with this task, if
    /// there is nothing else to do.
    pub(super) fn claim(&self, idle: Option<usize>) -> Claim {
        let over = self.over();
        let mut progress = self.lock();
        progress.outcome.begun.get_or_insert_with(Instant::now);
        if over || progress.failure.is_some() {
            progress.next = self.texts.len();
        }
        let next = progress.next;
        if next == self.texts.len() {
            progress.finish_if_idle();
            return Claim::Nothing;
        }
        let sharers = idle.map_or(1, |idle| idle + progress.running + 1);
        progress.running += 1;
        if progress.outcome.tokens.is_empty() {
            return Claim::Count;
        }
        let piece = match self.work {
            Work::Explain(_) => 1,
            _ => piece(&progress.outcome.tokens[next..], sharers),
        };
        progress.next += piece;
        Claim::Compute(next..next + piece, progress.next < self.texts.len())
    }

    /// Counts the tokens of all texts, and refuses what is against the rules.
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
        let mut count = |text: &str| tokenizer.count(text, scratch);
        let around = match &self.work {
            Work::Rerank(query) | Work::Explain(query) if self.model.encoder.is_none() => {
                count(query) + frame.pair_overhead()
            }
            _ => frame.single_overhead(),
        };
        let mut tokens = Vec::with_capacity(self.texts.len());
        let mut total = 0usize;
        for (index, text) in self.texts.iter().enumerate() {
            let own = count(text);
            let own = self.options.max_text_tokens.map_or(own, |cap| own.min(cap));
            if self.options.refuse_truncation && around + own > most {
                return Err(TaskError::TooLong {
                    index,
                    tokens: around + own,
                    most,
                });
            }
            let computed = (around + own).min(most);
            total += match self.work {
                // Again without each word, of which there are at most as many as tokens.
                Work::Explain(_) => computed * (1 + computed.saturating_sub(around)),
                _ => computed,
            };
            tokens.push(computed);
        }
        match total > self.options.max_tokens {
            true => Err(TaskError::TooManyTokens {
                tokens: total,
                most: self.options.max_tokens,
            }),
            false => Ok(tokens),
        }
    }

    /// Computes a piece that was claimed.
    pub(super) fn compute(&self, piece: Range<usize>) {
        let computed = self.computed(&piece);
        let mut progress = self.lock();
        match computed {
            // A handler whose time was up has taken the outputs away.
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
        let options = RerankOptions {
            deadline: match self.work {
                Work::Explain(_) => self.options.deadline,
                _ => None,
            },
            truncation_side: self.options.truncation_side,
            max_passage_tokens: self.options.max_text_tokens,
            ..RerankOptions::default()
        };
        let ranker = &self.model.ranker;
        match (&self.work, &self.model.encoder) {
            (Work::Rerank(query), _) => {
                let ranking = ranker.rerank_with(query, texts, &options);
                let mut outputs = vec![None; texts.len()];
                for hit in ranking.map_err(failed)?.hits {
                    outputs[hit.index] = Some(Output::Score {
                        score: hit.score,
                        logit: hit.logit,
                        truncation: hit.truncation,
                        spans: None,
                    });
                }
                Ok(outputs)
            }
            (Work::Explain(query), _) => {
                let explain = |text: &String| {
                    let explanation = ranker.explain(query, text, &options).map_err(failed)?;
                    Ok(Some(Output::Score {
                        score: explanation.score,
                        logit: explanation.logit,
                        truncation: explanation.truncation,
                        spans: Some(explanation.spans),
                    }))
                };
                texts.iter().map(explain).collect()
            }
            (Work::Embed, Some(encoder)) => {
                let vectors = encoder.encode(texts).map_err(failed)?;
                Ok(vectors
                    .into_iter()
                    .map(|v| Some(Output::Vector(v)))
                    .collect())
            }
            (Work::Embed, None) => Err(TaskError::Failed("the model is no encoder".to_owned())),
        }
    }

    /// A piece ended in a panic.
    pub(super) fn fail(&self) {
        let mut progress = self.lock();
        let failure = || TaskError::Failed("the computation broke off".to_owned());
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
            // Nobody listens where the client has gone away.
            let _ = done.send(());
        }
    }
}

/// How many of these texts make a piece: at least one.
fn piece(tokens: &[usize], sharers: usize) -> usize {
    let target = match sharers {
        0 | 1 => PIECE,
        n => {
            let left: usize = tokens.iter().sum();
            (left / (2 * n)).clamp(SMALL_PIECE, PIECE)
        }
    };
    let mut sum = 0;
    let fits = |&&count: &&usize| {
        let before = sum;
        sum += count;
        // Half over is as near as half under.
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
        // One of 90 tokens each for two threads.
        assert_eq!(piece(&[90; 5], 2), 1);
        // Far too small to be divided.
        assert_eq!(piece(&[10; 4], 2), 4);
        let mut left = &[100; 100][..];
        while !left.is_empty() {
            let n = piece(left, 2);
            assert!((1..=6).contains(&n), "{n}");
            left = &left[n..];
        }
    }
}
