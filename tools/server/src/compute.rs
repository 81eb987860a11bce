//! Limits, queue, deadline and ranking: from texts to results, whatever the transport.
//!
//! A transport builds a [`Computation`], which checks model and limits, sets what the request asks
//! for, and awaits [`Computation::run`]. It translates a [`ComputeError`] into its own errors.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanerank::{Hit, Span, TruncationSide};
use lanerank_requests::OnDeadline;
use tokio::sync::oneshot;

use crate::app::App;
use crate::models::Loaded;
pub use crate::schedule::{Operation, TaskError};
use crate::schedule::{Outcome, Output, QueueFull, Task, TaskOptions};

/// Maximum characters of an unknown model's name in an error.
const LONGEST_NAME: usize = 200;

/// A request, whatever its transport and shape. Set the public fields before running it.
pub struct Computation {
    model: Arc<Loaded>,
    operation: Operation,
    texts: Arc<Vec<String>>,
    /// Refuse texts that are too long instead of truncating them.
    pub refuse_truncation: bool,
    /// The side on which long texts are truncated.
    pub truncation_side: TruncationSide,
    /// Maximum tokens of a text that the model reads.
    pub max_text_tokens: Option<usize>,
    /// Time limit from the call of `run`, if it is shorter than the server's.
    pub deadline: Option<Duration>,
    /// The answer after the deadline; `None` for the server's.
    pub on_deadline: Option<OnDeadline>,
}

/// Why a request has no results.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComputeError {
    /// No model has this name.
    UnknownModel {
        /// The requested name, at most its first 200 characters.
        name: String,
        /// All names.
        known: Vec<String>,
    },
    /// The request has too many texts.
    TooManyTexts {
        /// Texts in the request.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// Vectors are requested of a cross-encoder.
    NotAnEncoder {
        /// The model's name.
        model: String,
    },
    /// An explanation is requested of a sentence encoder.
    NotACrossEncoder {
        /// The model's name.
        model: String,
    },
    /// All slots of the queue are taken.
    QueueFull,
    /// The deadline passed, and partial results are not wanted.
    Late,
    /// The tokens are beyond a limit, or the computation failed.
    Task(TaskError),
}

/// The results of a request.
pub struct Computed {
    pub(crate) model: Arc<Loaded>,
    outcome: Outcome,
}

/// One text's place in a ranking.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    /// Index, score and truncation.
    pub hit: Hit,
    /// The contribution of each word; `None` unless asked for.
    pub spans: Option<&'a [Span]>,
}

impl Computation {
    /// A request to the named model, or to the first if `model` is `None`, with default options.
    ///
    /// # Errors
    /// When the model is unknown or does not do this operation, or when there are too many texts.
    pub fn new(
        app: &App,
        model: Option<&str>,
        operation: Operation,
        texts: Arc<Vec<String>>,
    ) -> Result<Computation, ComputeError> {
        let model = find(app, model)?;
        let (count, most) = (texts.len(), app.settings.max_documents);
        if count > most {
            return Err(ComputeError::TooManyTexts { count, most });
        }
        let name = || model.name.clone();
        match (&operation, &model.encoder) {
            (Operation::Embed, None) => return Err(ComputeError::NotAnEncoder { model: name() }),
            (Operation::Explain(_), Some(_)) => {
                return Err(ComputeError::NotACrossEncoder { model: name() });
            }
            _ => {}
        }
        Ok(Computation {
            model,
            operation,
            texts,
            refuse_truncation: false,
            truncation_side: TruncationSide::Right,
            max_text_tokens: None,
            deadline: None,
            on_deadline: None,
        })
    }

    /// Queues the request and waits for its results or its deadline. Dropping the future frees the
    /// slot in the queue and cancels the work.
    ///
    /// # Errors
    /// Why there are no results.
    pub async fn run(self, app: &App) -> Result<Computed, ComputeError> {
        if app.settings.log_texts {
            self.log();
        }
        let times = [self.deadline, app.settings.deadline];
        let time = times.into_iter().flatten().min();
        // A deadline beyond the clock's range never comes.
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        let partial = self.partial(app);
        let options = TaskOptions {
            deadline,
            refuse_truncation: self.refuse_truncation,
            truncation_side: self.truncation_side,
            max_text_tokens: self.max_text_tokens,
            max_tokens: app.settings.max_tokens,
        };
        let submitted = Instant::now();
        let model = self.model;
        let (task, done) = Task::new(Arc::clone(&model), self.operation, self.texts, options);
        let ticket = app.pool.submit(Arc::clone(&task))?;
        wait(done, deadline).await;
        let taken = task.take();
        drop(ticket);
        let outcome = taken.inspect_err(|error| {
            if let TaskError::Failed(what) = error {
                tracing::error!(what, "computation failed");
            }
        })?;
        let computed = Computed { model, outcome };
        computed.count(app, submitted);
        if computed.missing() > 0 && !partial {
            return Err(ComputeError::Late);
        }
        Ok(computed)
    }

    /// A part of the vectors is of no use to anyone.
    fn partial(&self, app: &App) -> bool {
        let chosen = self.on_deadline.unwrap_or(app.settings.on_deadline);
        chosen == OnDeadline::Partial && !matches!(self.operation, Operation::Embed)
    }

    fn log(&self) {
        let query = match &self.operation {
            Operation::Rerank(query) | Operation::Explain(query) => query.as_str(),
            Operation::Embed => "",
        };
        tracing::info!(model = self.model.name, query, texts = ?self.texts, "texts");
    }
}

/// The named model, or the first.
pub(crate) fn find(app: &App, name: Option<&str>) -> Result<Arc<Loaded>, ComputeError> {
    app.models
        .get(name)
        .ok_or_else(|| ComputeError::UnknownModel {
            name: name
                .unwrap_or_default()
                .chars()
                .take(LONGEST_NAME)
                .collect(),
            known: app.models.names().map(str::to_owned).collect(),
        })
}

/// Waits until the task is done or its deadline has passed; either way the caller takes the
/// results.
async fn wait(done: oneshot::Receiver<()>, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => {
            let _ = tokio::time::timeout_at(deadline.into(), done).await;
        }
        None => {
            let _ = done.await;
        }
    }
}

impl Computed {
    /// The name of the model that computed it.
    pub fn model(&self) -> &str {
        &self.model.name
    }

    /// Number of texts in the request.
    pub fn texts(&self) -> usize {
        self.outcome.outputs.len()
    }

    /// Number of texts without a result.
    pub fn missing(&self) -> usize {
        let outputs = self.outcome.outputs.iter();
        outputs.filter(|output| output.is_none()).count()
    }

    /// Number of tokens computed.
    pub fn tokens(&self) -> usize {
        let both = self.outcome.outputs.iter().zip(&self.outcome.tokens);
        both.filter(|(output, _)| output.is_some())
            .map(|(_, tokens)| tokens)
            .sum()
    }

    /// The scored texts, best first.
    pub fn ranking(&self) -> Vec<Ranked<'_>> {
        let outputs = self.outcome.outputs.iter().flatten();
        let scored = outputs.filter_map(|output| match output {
            Output::Score { hit, spans } => Some(Ranked {
                hit: *hit,
                spans: spans.as_deref(),
            }),
            Output::Vector(_) => None,
        });
        let mut ranking: Vec<Ranked> = scored.collect();
        ranking.sort_by(|a, b| a.hit.order(&b.hit));
        ranking
    }

    /// The vectors, each with its text's index.
    pub fn vectors(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let outputs = self.outcome.outputs.iter().enumerate();
        outputs.filter_map(|(index, output)| match output {
            Some(Output::Vector(vector)) => Some((index, vector.as_slice())),
            _ => None,
        })
    }

    fn count(&self, app: &App, submitted: Instant) {
        let metrics = &app.metrics;
        let started = self.outcome.started.unwrap_or_else(Instant::now);
        let waited = started.saturating_duration_since(submitted);
        metrics.queue_seconds.observe(waited.as_secs_f64());
        let truncated = |output: &&Output| match output {
            Output::Score { hit, .. } => hit.truncation.any(),
            Output::Vector(_) => false,
        };
        let outputs = self.outcome.outputs.iter().flatten();
        let name = [self.model()];
        for (counter, count) in [
            (&metrics.documents, self.texts() - self.missing()),
            (&metrics.tokens, self.tokens()),
            (&metrics.truncated, outputs.filter(truncated).count()),
        ] {
            counter.with_label_values(&name).inc_by(count as u64);
        }
    }
}

impl From<QueueFull> for ComputeError {
    fn from(_: QueueFull) -> Self {
        ComputeError::QueueFull
    }
}

impl From<TaskError> for ComputeError {
    fn from(error: TaskError) -> Self {
        ComputeError::Task(error)
    }
}

impl fmt::Display for ComputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ComputeError::UnknownModel { name, known } => {
                write!(f, "no model {name:?} here; there is {}", known.join(", "))
            }
            ComputeError::TooManyTexts { count, most } => {
                write!(f, "{count} texts; a request may have {most}")
            }
            ComputeError::NotAnEncoder { model } => {
                write!(
                    f,
                    "model {model} is a cross-encoder; its vectors mean nothing"
                )
            }
            ComputeError::NotACrossEncoder { model } => write!(
                f,
                "model {model} is a sentence encoder; only a cross-encoder's scores can be \
                 explained"
            ),
            ComputeError::QueueFull => {
                f.write_str("too many requests are waiting; try again later")
            }
            ComputeError::Late => f.write_str("the deadline passed before all texts were computed"),
            ComputeError::Task(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ComputeError {}
