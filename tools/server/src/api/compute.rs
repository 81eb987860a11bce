//! From a request that was read to what came of it: the limits, the queue, the deadline.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use lanerank::{Span, Truncation, TruncationSide};
use serde::Deserialize;

use super::App;
use super::error::{ApiError, Kind};
use crate::models::Loaded;
use crate::observe::Summary;
use crate::options::OnDeadline;
use crate::schedule::{Outcome, Output, Task, TaskError, TaskOptions, Work};

/// The request header for the deadline in milliseconds, where the body does not say.
pub const DEADLINE: &str = "x-deadline-ms";
/// The request header for what becomes of a request then: `error` or `partial`.
pub const ON_DEADLINE: &str = "x-on-deadline";
/// The response header for how many texts the deadline left without a score.
pub const UNSCORED: &str = "x-unscored";

/// What every shape of request may have besides its own fields.
#[derive(Debug, Default, Deserialize)]
pub struct Extras {
    /// Which model.
    pub model: Option<String>,
    /// Time in milliseconds.
    pub deadline_ms: Option<u64>,
    /// What becomes of the request then.
    pub on_deadline: Option<OnDeadline>,
}

/// A request, whatever its shape was.
pub struct Computation {
    pub extras: Extras,
    pub work: Work,
    pub texts: Arc<Vec<String>>,
    pub refuse_truncation: bool,
    pub truncation_side: TruncationSide,
    pub max_text_tokens: Option<usize>,
}

/// A text's score.
#[derive(Debug, Clone, Copy)]
pub struct Ranked<'a> {
    pub index: usize,
    pub score: f32,
    pub logit: f32,
    pub truncation: Truncation,
    pub spans: Option<&'a [Span]>,
}

/// What came of a request.
pub struct Computed {
    pub model: Arc<Loaded>,
    pub outcome: Outcome,
}

impl Computation {
    /// Computes it on the pool.
    ///
    /// # Errors
    /// Why nothing came of it.
    pub async fn run(self, app: &App, headers: &HeaderMap) -> Result<Computed, ApiError> {
        let model = self.model(app)?;
        self.check(app, &model)?;
        if app.settings.log_texts {
            let query = match &self.work {
                Work::Rerank(query) | Work::Explain(query) => query.as_str(),
                Work::Embed => "",
            };
            tracing::info!(model = model.name, query, texts = ?self.texts, "texts");
        }
        let deadline = self.deadline(app, headers)?;
        let partial = self.partial(app, headers)?;
        let options = TaskOptions {
            deadline,
            refuse_truncation: self.refuse_truncation,
            truncation_side: self.truncation_side,
            max_text_tokens: self.max_text_tokens,
            max_tokens: app.settings.max_tokens,
        };
        let submitted = Instant::now();
        let (task, done) = Task::new(Arc::clone(&model), self.work, self.texts, options);
        let ticket = app.pool.submit(Arc::clone(&task)).map_err(|_| {
            ApiError::new(
                Kind::Overloaded,
                "too many requests are waiting; try again later",
            )
        })?;
        match deadline {
            Some(deadline) => {
                // Late or not, what there is will be taken.
                let _ = tokio::time::timeout_at(deadline.into(), done).await;
            }
            None => {
                let _ = done.await;
            }
        }
        let taken = task.take();
        drop(ticket);
        let outcome = taken.map_err(refusal)?;
        let begun = outcome.begun.unwrap_or_else(Instant::now);
        let waited = begun.saturating_duration_since(submitted);
        app.metrics.queue_seconds.observe(waited.as_secs_f64());
        count(app, &model, &outcome);
        let computed = Computed { model, outcome };
        match computed.missing() > 0 && !partial {
            true => Err(ApiError::new(
                Kind::Deadline,
                "the deadline passed before all texts were computed",
            )),
            false => Ok(computed),
        }
    }

    fn model(&self, app: &App) -> Result<Arc<Loaded>, ApiError> {
        let name = self.extras.model.as_deref();
        app.models.get(name).ok_or_else(|| {
            let known: Vec<&str> = app.models.names().collect();
            let name = name.unwrap_or_default();
            let message = format!("no model {name:?} here; there is {}", known.join(", "));
            ApiError::new(Kind::NotFound, message)
        })
    }

    fn check(&self, app: &App, model: &Loaded) -> Result<(), ApiError> {
        let (count, most) = (self.texts.len(), app.settings.max_documents);
        if count > most {
            let message = format!("{count} texts; a request may have {most}");
            return Err(ApiError::new(Kind::TooLarge, message));
        }
        if matches!(self.work, Work::Embed) && model.encoder.is_none() {
            let name = &model.name;
            let message = format!("model {name} is a cross-encoder; its vectors mean nothing");
            return Err(ApiError::new(Kind::Validation, message));
        }
        if matches!(self.work, Work::Explain(_)) && model.encoder.is_some() {
            let name = &model.name;
            let message = format!(
                "model {name} is a sentence encoder; only a cross-encoder's scores can be explained"
            );
            return Err(ApiError::new(Kind::Validation, message));
        }
        Ok(())
    }

    /// The field comes before the header, the header before the setting.
    fn deadline(&self, app: &App, headers: &HeaderMap) -> Result<Option<Instant>, ApiError> {
        let time = match self.extras.deadline_ms {
            Some(ms) => Some(Duration::from_millis(ms)),
            None => header::<u64>(headers, DEADLINE)?
                .map(Duration::from_millis)
                .or(app.settings.deadline),
        };
        // A moment beyond the clock's range never comes.
        Ok(time.and_then(|time| Instant::now().checked_add(time)))
    }

    fn partial(&self, app: &App, headers: &HeaderMap) -> Result<bool, ApiError> {
        let chosen = match self.extras.on_deadline {
            Some(chosen) => chosen,
            None => match header::<String>(headers, ON_DEADLINE)?.as_deref() {
                None => app.settings.on_deadline,
                Some("error") => OnDeadline::Error,
                Some("partial") => OnDeadline::Partial,
                Some(_) => {
                    let message = format!("{ON_DEADLINE}: neither `error` nor `partial`");
                    return Err(ApiError::new(Kind::Validation, message));
                }
            },
        };
        Ok(chosen == OnDeadline::Partial && !matches!(self.work, Work::Embed))
    }
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Result<Option<T>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let parsed = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().parse().ok());
    let message = || ApiError::new(Kind::Validation, format!("header {name}: not understood"));
    parsed.map(Some).ok_or_else(message)
}

fn refusal(error: TaskError) -> ApiError {
    match error {
        TaskError::TooLong {
            index,
            tokens,
            most,
        } => ApiError::new(
            Kind::TooLarge,
            format!("text {index} has {tokens} tokens with the query; the model takes {most}"),
        ),
        TaskError::TooManyTokens { tokens, most } => ApiError::new(
            Kind::TooLarge,
            format!("{tokens} tokens to compute; a request may have {most}"),
        ),
        TaskError::Failed(what) => {
            tracing::error!(what, "computation failed");
            ApiError::new(Kind::Backend, what)
        }
    }
}

fn count(app: &App, model: &Loaded, outcome: &Outcome) {
    let name = [model.name.as_str()];
    let (mut documents, mut tokens, mut cut) = (0, 0, 0);
    for (output, count) in outcome.outputs.iter().zip(&outcome.tokens) {
        let Some(output) = output else { continue };
        documents += 1;
        tokens += *count as u64;
        if let Output::Score { truncation, .. } = output {
            cut += u64::from(truncation.any());
        }
    }
    app.metrics
        .documents
        .with_label_values(&name)
        .inc_by(documents);
    app.metrics.tokens.with_label_values(&name).inc_by(tokens);
    app.metrics.truncated.with_label_values(&name).inc_by(cut);
}

impl Computed {
    /// Texts without a result.
    pub fn missing(&self) -> usize {
        self.outcome
            .outputs
            .iter()
            .filter(|output| output.is_none())
            .count()
    }

    /// Tokens computed.
    pub fn tokens(&self) -> usize {
        let both = self.outcome.outputs.iter().zip(&self.outcome.tokens);
        both.filter(|(output, _)| output.is_some())
            .map(|(_, tokens)| tokens)
            .sum()
    }

    /// The texts that were scored, best first, equal ones in the order given: the library's order.
    pub fn ranking(&self) -> Vec<Ranked<'_>> {
        let scored = self
            .outcome
            .outputs
            .iter()
            .enumerate()
            .filter_map(|(index, output)| match output {
                Some(Output::Score {
                    score,
                    logit,
                    truncation,
                    spans,
                }) => Some(Ranked {
                    index,
                    score: *score,
                    logit: *logit,
                    truncation: *truncation,
                    spans: spans.as_deref(),
                }),
                _ => None,
            });
        let mut ranking: Vec<Ranked> = scored.collect();
        // The library refuses NaN; -0.0 equals 0.0.
        ranking.sort_by(|a, b| {
            b.logit
                .partial_cmp(&a.logit)
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        ranking
    }

    /// Adds to a response what its headers and the log say of it.
    pub fn describe(&self, mut response: Response) -> Response {
        let missing = self.missing();
        if missing > 0 {
            response
                .headers_mut()
                .insert(UNSCORED, HeaderValue::from(missing));
        }
        response.extensions_mut().insert(Summary {
            model: self.model.name.clone(),
            texts: self.outcome.outputs.len(),
            tokens: self.tokens(),
        });
        response
    }
}
