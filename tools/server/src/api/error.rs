//! Errors of requests, and the shape in which each API reports them.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use lanerank_requests::RequestError;
use serde_json::{Value, json};

use crate::app::Unready;
use crate::compute::{ComputeError, TaskError};

/// Maximum bytes of an error's message.
const LONGEST_MESSAGE: usize = 1000;

/// The kind of an error. It decides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// Not JSON.
    Syntax,
    /// JSON, but not a valid request.
    Validation,
    /// Nothing to rank.
    Empty,
    /// The content type is not JSON.
    MediaType,
    /// Too many bytes, documents or tokens.
    TooLarge,
    /// The body did not arrive in time.
    Slow,
    /// No token, or an unknown one.
    Unauthorized,
    /// No such path or model.
    NotFound,
    /// The path does not take the method.
    Method,
    /// The queue is full.
    Overloaded,
    /// The deadline has passed.
    Deadline,
    /// The server is shutting down, full, or has lost a thread.
    Unhealthy,
    /// The computation failed.
    Backend,
}

impl ErrorKind {
    pub(super) fn status(self) -> StatusCode {
        match self {
            ErrorKind::Syntax | ErrorKind::Empty => StatusCode::BAD_REQUEST,
            ErrorKind::Validation => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Slow => StatusCode::REQUEST_TIMEOUT,
            ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Method => StatusCode::METHOD_NOT_ALLOWED,
            ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Backend => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The label in the metrics and the log.
    pub(super) fn label(self) -> &'static str {
        match self {
            ErrorKind::Syntax => "syntax",
            ErrorKind::Validation => "validation",
            ErrorKind::Empty => "empty",
            ErrorKind::MediaType => "media_type",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Slow => "slow",
            ErrorKind::Unauthorized => "unauthorized",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Method => "method",
            ErrorKind::Overloaded => "overloaded",
            ErrorKind::Deadline => "deadline",
            ErrorKind::Unhealthy => "unhealthy",
            ErrorKind::Backend => "backend",
        }
    }

    /// TEI's `error_type`, and similar names for kinds that TEI does not have.
    fn tei(self) -> &'static str {
        match self {
            ErrorKind::Syntax
            | ErrorKind::Validation
            | ErrorKind::MediaType
            | ErrorKind::TooLarge => "Validation",
            ErrorKind::Empty => "Empty",
            ErrorKind::Overloaded => "Overloaded",
            ErrorKind::Unhealthy => "Unhealthy",
            ErrorKind::Backend => "Backend",
            ErrorKind::Slow | ErrorKind::Deadline => "Timeout",
            ErrorKind::Unauthorized => "Unauthorized",
            ErrorKind::NotFound | ErrorKind::Method => "NotFound",
        }
    }

    /// OpenAI's `type`.
    fn openai(self) -> &'static str {
        match self {
            ErrorKind::Unauthorized => "authentication_error",
            ErrorKind::Overloaded => "rate_limit_error",
            ErrorKind::Backend | ErrorKind::Unhealthy => "server_error",
            ErrorKind::Slow | ErrorKind::Deadline => "timeout_error",
            _ => "invalid_request_error",
        }
    }
}

/// The shape of errors. A router has one; see [`super::routes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"error", "error_type"}`
    Tei,
    /// Cohere's `{"message"}` with Jina's `{"detail"}`.
    Cohere,
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
}

impl Shape {
    /// The name of the shape's schema in `components.json`.
    pub(super) fn schema(self) -> &'static str {
        match self {
            Shape::Tei => "TeiError",
            Shape::Cohere => "CohereError",
            Shape::OpenAi => "OpenAiError",
        }
    }
}

/// An error of a request. As a response it is a bare status with this value attached; the router's
/// [`render`] gives it a body in the router's shape.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    kind: ErrorKind,
    message: String,
    /// The shape, if it is not the router's.
    shape: Option<Shape>,
}

impl ApiError {
    /// An error with this message, shortened to [`LONGEST_MESSAGE`]: messages quote what clients
    /// send.
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > LONGEST_MESSAGE {
            let end = (0..=LONGEST_MESSAGE).rfind(|&i| message.is_char_boundary(i));
            message.truncate(end.unwrap_or_default());
            message.push_str(" ...");
            message.shrink_to_fit();
        }
        let shape = None;
        ApiError {
            kind,
            message,
            shape,
        }
    }

    /// The same error in this shape, whatever the router's.
    pub(super) fn shaped(self, shape: Shape) -> Self {
        ApiError {
            shape: Some(shape),
            ..self
        }
    }

    fn render(self, shape: Shape) -> Response {
        let status = self.kind.status();
        let mut response = (status, Json(self.body(shape, status))).into_response();
        let header = match self.kind {
            ErrorKind::Overloaded | ErrorKind::Unhealthy => Some((RETRY_AFTER, "1")),
            ErrorKind::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer")),
            _ => None,
        };
        if let Some((name, value)) = header {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self.kind);
        response
    }

    fn body(&self, shape: Shape, status: StatusCode) -> Value {
        let message = &self.message;
        match shape {
            Shape::Tei => json!({"error": message, "error_type": self.kind.tei()}),
            Shape::Cohere => json!({"message": message, "detail": message}),
            Shape::OpenAi => json!({"error": {
                "message": message,
                "type": self.kind.openai(),
                "param": null,
                "code": status.as_u16(),
            }}),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ComputeError> for ApiError {
    fn from(error: ComputeError) -> Self {
        let kind = match &error {
            ComputeError::UnknownModel { .. } => ErrorKind::NotFound,
            ComputeError::TooManyTexts { .. } => ErrorKind::TooLarge,
            ComputeError::NotAnEncoder { .. } | ComputeError::NotACrossEncoder { .. } => {
                ErrorKind::Validation
            }
            ComputeError::QueueFull => ErrorKind::Overloaded,
            ComputeError::Late => ErrorKind::Deadline,
            ComputeError::Task(TaskError::Failed(_)) => ErrorKind::Backend,
            ComputeError::Task(TaskError::TooLong { .. } | TaskError::TooManyTokens { .. }) => {
                ErrorKind::TooLarge
            }
        };
        ApiError::new(kind, error.to_string())
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let kind = match error {
            RequestError::Syntax(_) => ErrorKind::Syntax,
            RequestError::Invalid(_) => ErrorKind::Validation,
            RequestError::TooManyTexts { .. } => ErrorKind::TooLarge,
        };
        ApiError::new(kind, error.to_string())
    }
}

impl From<Unready> for ApiError {
    fn from(why: Unready) -> Self {
        ApiError::new(ErrorKind::Unhealthy, why.to_string())
    }
}

/// Replaces an attached [`ApiError`] by the error in this shape, and attaches its kind for the
/// metrics and the log.
pub(super) fn render(mut response: Response, shape: Shape) -> Response {
    match response.extensions_mut().remove::<ApiError>() {
        None => response,
        Some(error) => {
            let shape = error.shape.unwrap_or(shape);
            error.render(shape)
        }
    }
}
