//! Reads a request's body within the limits of size and time, and keeps long work off the threads
//! that answer.

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::{ApiError, ErrorKind};
use crate::app::App;

/// Work on this many bytes may run on a thread that answers; more could delay other requests.
const INLINE: usize = 64 << 10;

/// Reads a JSON body within the limits of size and time, and parses it.
///
/// The body is held once while it arrives and is parsed (capacity at most twice its length), and
/// dropped before this returns.
pub(super) async fn read<T: Send + 'static>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    parse: impl FnOnce(&str) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if !is_json(headers) {
        let message = "the body must be JSON, with `Content-Type: application/json`";
        return Err(ApiError::new(ErrorKind::MediaType, message));
    }
    let most = app.settings.max_body;
    // If the client declares the length, refuse before it sends the body.
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > most as u64) {
        return Err(too_large(most));
    }
    let arrival = tokio::time::timeout(app.settings.read_timeout, collect(body, most));
    let bytes = arrival
        .await
        .map_err(|_| ApiError::new(ErrorKind::Slow, "the body did not arrive in time"))??;
    run(app, bytes.len(), move || parse(utf8(&bytes)?)).await?
}

/// Runs `work` on `bytes` bytes: on this thread, or on another if they are many. At most as many
/// such works run at once as there are scoring threads.
///
/// # Errors
/// [`ErrorKind::Backend`] if `work` panics.
pub(super) async fn run<T: Send + 'static>(
    app: &App,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= INLINE {
        return Ok(work());
    }
    // The semaphore is never closed.
    let permit = Arc::clone(&app.long_work).acquire_owned().await.ok();
    let done = tokio::task::spawn_blocking(move || {
        // Held until the work is done, even if the client disconnects.
        let _permit = permit;
        work()
    });
    let failed = |_| ApiError::new(ErrorKind::Backend, "the request could not be answered");
    done.await.map_err(failed)
}

fn too_large(most: usize) -> ApiError {
    let message = format!("the body is longer than {most} bytes");
    ApiError::new(ErrorKind::TooLarge, message)
}

/// The body's bytes, copied out of the connection's buffers as they arrive.
async fn collect(body: Body, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Limited::new(body, most);
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| {
            if e.is::<LengthLimitError>() {
                return too_large(most);
            }
            ApiError::new(ErrorKind::Syntax, "the body ended too early")
        })?;
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// The body as text.
fn utf8(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let message = format!("the body is not UTF-8 from byte {} on", e.valid_up_to());
        ApiError::new(ErrorKind::Syntax, message)
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
