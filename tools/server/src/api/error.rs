//! What can be wrong with a request, and how each peer would say it.

use axum::Json;
use axum::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not JSON.
    Syntax,
    /// JSON, but not the request that it should be.
    Validation,
    /// Nothing to rank.
    Empty,
    /// Not said to be JSON.
    MediaType,
    /// Too many bytes, documents or tokens.
    TooLarge,
    /// The body did not arrive in time.
    Slow,
    /// No token, or not one that is known.
    Unauthorized,
    /// No such path or model.
    NotFound,
    /// The path is there, the method is not.
    Method,
    /// The queue is full.
    Overloaded,
    /// The deadline has passed.
    Deadline,
    /// The server is shutting down or a thread of it has died.
    Unhealthy,
    /// The computation failed.
    Backend,
}

impl Kind {
    fn status(self) -> StatusCode {
        match self {
            Kind::Syntax | Kind::Empty => StatusCode::BAD_REQUEST,
            Kind::Validation => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Slow => StatusCode::REQUEST_TIMEOUT,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Kind::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Backend => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// As the metrics call it.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Syntax => "syntax",
            Kind::Validation => "validation",
            Kind::Empty => "empty",
            Kind::MediaType => "media_type",
            Kind::TooLarge => "too_large",
            Kind::Slow => "slow",
            Kind::Unauthorized => "unauthorized",
            Kind::NotFound => "not_found",
            Kind::Method => "method",
            Kind::Overloaded => "overloaded",
            Kind::Deadline => "deadline",
            Kind::Unhealthy => "unhealthy",
            Kind::Backend => "backend",
        }
    }

    /// TEI's `error_type`, and names in its manner for what TEI has not.
    fn tei(self) -> &'static str {
        match self {
            Kind::Syntax | Kind::Validation | Kind::MediaType | Kind::TooLarge => "Validation",
            Kind::Empty => "Empty",
            Kind::Overloaded => "Overloaded",
            Kind::Unhealthy => "Unhealthy",
            Kind::Backend => "Backend",
            Kind::Slow | Kind::Deadline => "Timeout",
            Kind::Unauthorized => "Unauthorized",
            Kind::NotFound | Kind::Method => "NotFound",
        }
    }

    /// OpenAI's `type`.
    fn openai(self) -> &'static str {
        match self {
            Kind::Unauthorized => "authentication_error",
            Kind::Overloaded => "rate_limit_error",
            Kind::Backend | Kind::Unhealthy => "server_error",
            Kind::Slow | Kind::Deadline => "timeout_error",
            _ => "invalid_request_error",
        }
    }
}

/// Whose errors a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"error", "error_type"}`
    Tei,
    /// Cohere's `{"message"}` with Jina's `{"detail"}`.
    Cohere,
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
}

impl Shape {
    /// The shape of errors at a path.
    pub fn of(path: &str) -> Shape {
        match path {
            "/v1/rerank" | "/v2/rerank" => Shape::Cohere,
            "/v1/embeddings" | "/v1/models" => Shape::OpenAi,
            _ => Shape::Tei,
        }
    }
}

/// What is wrong with a request. As a response it is a note to the outermost layer, which knows the
/// path and so the shape.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Its kind.
    pub kind: Kind,
    message: String,
}

impl ApiError {
    /// An error and what to say of it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        ApiError { kind, message }
    }

    /// The response in a peer's shape.
    pub fn render(self, shape: Shape) -> Response {
        let status = self.kind.status();
        let mut response = (status, Json(self.body(shape, status))).into_response();
        let header = match self.kind {
            Kind::Overloaded | Kind::Unhealthy => Some((RETRY_AFTER, "1")),
            Kind::Unauthorized => Some((WWW_AUTHENTICATE, "Bearer")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn body(&self, shape: Shape, status: StatusCode) -> Value {
        let message = &self.message;
        match shape {
            Shape::Tei => json!({"error": message, "error_type": self.kind.tei()}),
            Shape::Cohere => json!({"message": message, "detail": message}),
            Shape::OpenAi => json!({"error": {
                "message": message, "type": self.kind.openai(), "param": null, "code": status.as_u16(),
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

/// Replaces the note that an error left by the error in the path's shape; says which kind it was.
pub fn finish(response: Response, path: &str) -> (Response, Option<Kind>) {
    let (mut parts, body) = response.into_parts();
    match parts.extensions.remove::<ApiError>() {
        None => (Response::from_parts(parts, body), None),
        Some(error) => {
            let kind = error.kind;
            let mut rendered = error.render(Shape::of(path));
            if let Some(allow) = parts.headers.remove(ALLOW) {
                rendered.headers_mut().insert(ALLOW, allow);
            }
            (rendered, Some(kind))
        }
    }
}
