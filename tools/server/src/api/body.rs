//! Reading a request's body.

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::App;
use super::error::{ApiError, Kind};

/// Reads a JSON body within the limits of size and time.
///
/// # Errors
/// What is wrong with it.
pub async fn read<T: DeserializeOwned>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        let message = "the body has to be JSON, with `Content-Type: application/json`";
        return Err(ApiError::new(Kind::MediaType, message));
    }
    let most = app.settings.max_body;
    let too_large = || {
        let message = format!("the body is longer than {most} bytes");
        ApiError::new(Kind::TooLarge, message)
    };
    // Refused before it is sent, where the client says how long it is.
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
        .map_err(|_| ApiError::new(Kind::Slow, "the body did not arrive in time"))?;
    let bytes = collected.map_err(|e| match e.is::<LengthLimitError>() {
        true => too_large(),
        false => ApiError::new(Kind::Syntax, "the body broke off"),
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|e| {
        let kind = match e.classify() {
            Category::Data => Kind::Validation,
            _ => Kind::Syntax,
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
