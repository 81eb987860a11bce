//! Runs a computation with the fields and headers that all shapes of requests share.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use lanerank_requests::{Count, Documents, OnDeadline, RerankFields};

use super::error::{ApiError, ErrorKind};
use super::observe::Summary;
use crate::app::App;
use crate::compute::{Computation, Computed, Operation};

/// Request header: the deadline in milliseconds, if the body has none.
const DEADLINE: &str = "x-deadline-ms";
/// Request header: the answer after the deadline, `error` or `partial`, if the body does not say.
const ON_DEADLINE: &str = "x-on-deadline";
/// Response header: number of texts without a score because of the deadline.
const UNSCORED: &str = "x-unscored";

/// Fields that every shape of request may have besides its own.
#[derive(Debug, Default)]
pub(super) struct CommonFields {
    /// The model's name.
    pub(super) model: Option<String>,
    /// Time limit in milliseconds.
    pub(super) deadline_ms: Option<Count>,
    /// The answer after the deadline.
    pub(super) on_deadline: Option<OnDeadline>,
}

impl CommonFields {
    /// Takes them from a rerank request.
    pub(super) fn of(fields: &mut RerankFields) -> CommonFields {
        CommonFields {
            model: fields.model.take(),
            deadline_ms: fields.deadline_ms,
            on_deadline: fields.on_deadline,
        }
    }

    /// A computation with default options for the model that the request names.
    pub(super) fn computation(
        &self,
        app: &App,
        operation: Operation,
        texts: Arc<Vec<String>>,
    ) -> Result<Computation, ApiError> {
        let model = self.model.as_deref();
        Ok(Computation::new(app, model, operation, texts)?)
    }

    /// Runs a computation. A field overrides its header, which overrides the server's setting.
    pub(super) async fn run(
        &self,
        app: &App,
        headers: &HeaderMap,
        mut computation: Computation,
    ) -> Result<Computed, ApiError> {
        computation.deadline = match self.deadline_ms {
            Some(Count(ms)) => Some(Duration::from_millis(ms)),
            None => header(headers, DEADLINE)?.map(Duration::from_millis),
        };
        computation.on_deadline = match self.on_deadline {
            Some(chosen) => Some(chosen),
            None => on_deadline(headers)?,
        };
        Ok(computation.run(app).await?)
    }
}

/// The texts of documents. A request must have one.
pub(super) fn texts(documents: &Documents) -> Result<Vec<String>, ApiError> {
    if documents.is_empty() {
        let message = format!("`{}` cannot be empty", documents.name());
        return Err(ApiError::new(ErrorKind::Empty, message));
    }
    documents.iter().map(|read| Ok(read?.text)).collect()
}

fn on_deadline(headers: &HeaderMap) -> Result<Option<OnDeadline>, ApiError> {
    match header::<String>(headers, ON_DEADLINE)?.as_deref() {
        None => Ok(None),
        Some("error") => Ok(Some(OnDeadline::Error)),
        Some("partial") => Ok(Some(OnDeadline::Partial)),
        Some(_) => {
            let message = format!("{ON_DEADLINE}: neither `error` nor `partial`");
            Err(ApiError::new(ErrorKind::Validation, message))
        }
    }
}

fn header<T: FromStr>(headers: &HeaderMap, name: &str) -> Result<Option<T>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let value = value.to_str().ok();
    let parsed = value.and_then(|value| value.trim().parse().ok());
    let message = || format!("header {name}: not understood");
    parsed
        .map(Some)
        .ok_or_else(|| ApiError::new(ErrorKind::Validation, message()))
}

/// Adds the header for unscored texts, and a summary for the log.
pub(super) fn describe(computed: &Computed, mut response: Response) -> Response {
    let missing = computed.missing();
    if missing > 0 {
        let value = HeaderValue::from(missing);
        response.headers_mut().insert(UNSCORED, value);
    }
    response.extensions_mut().insert(Summary {
        model: computed.model().to_owned(),
        texts: computed.texts(),
        tokens: computed.tokens(),
    });
    response
}
