//! Reads a request's JSON body within the limits of size and time.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::{ApiError, ErrorKind};
use crate::app::App;

/// Reads a JSON body within the limits of size and time.
pub(super) async fn read<T: DeserializeOwned>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        let message = "the body must be JSON, with `Content-Type: application/json`";
        return Err(ApiError::new(ErrorKind::MediaType, message));
    }
    let most = app.settings.max_body;
    let too_large = || {
        let message = format!("the body is longer than {most} bytes");
        ApiError::new(ErrorKind::TooLarge, message)
    };
    // If the client declares the length, refuse before it sends the body.
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > most as u64) {
        return Err(too_large());
    }
    let arrival = tokio::time::timeout(
        app.settings.read_timeout,
        Limited::new(body, most).collect(),
    );
    let collected = arrival
        .await
        .map_err(|_| ApiError::new(ErrorKind::Slow, "the body did not arrive in time"))?;
    let bytes = collected.map_err(|e| {
        if e.is::<LengthLimitError>() {
            return too_large();
        }
        ApiError::new(ErrorKind::Syntax, "the body ended too early")
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|e| {
        let kind = match e.classify() {
            Category::Data => ErrorKind::Validation,
            _ => ErrorKind::Syntax,
        };
        ApiError::new(kind, e.to_string())
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let suffixed = essence.starts_with("application/") && essence.ends_with("+json");
    essence == "application/json" || suffixed
}
