//! What of an event the router has to know besides the request in it: where the routes begin in the
//! path, and when Lambda will end the function.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Uri};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};

/// The server's header for a request's deadline in milliseconds.
const DEADLINE: &str = "x-deadline-ms";
/// What is left of the function's time for the answer to reach Lambda.
const MARGIN: Duration = Duration::from_millis(50);

/// Takes the stage off the path, and lets the request end before Lambda ends the function. `usual` is the
/// time of requests that do not say how much they have; the process began at `started`.
pub fn adapt(
    mut request: Request<Body>,
    usual: Option<Duration>,
    started: SystemTime,
) -> Request<Body> {
    if let Some(uri) = without_stage(&request) {
        *request.uri_mut() = uri;
    }
    let remaining = request
        .lambda_context_ref()
        .and_then(|context| remaining(context.deadline, started));
    if let Some(deadline) = remaining.and_then(|most| deadline(&request, usual, most)) {
        request.headers_mut().insert(DEADLINE, deadline);
    }
    request
}

/// The URI with the path as the routes know it. `lambda_http` puts the stage before it. What the event has
/// as its path is without the stage from a REST API, and with it from an HTTP API.
fn without_stage(request: &Request<Body>) -> Option<Uri> {
    let raw = request.raw_http_path();
    let path = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            let stage = context.stage.as_deref().unwrap_or_default();
            let after = raw.strip_prefix('/').and_then(|p| p.strip_prefix(stage));
            after.filter(|p| p.starts_with('/')).unwrap_or(raw)
        }
        _ => raw,
    };
    if !path.starts_with('/') {
        return None;
    }
    let query = request.uri().query();
    let path = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    path.parse().ok()
}

/// Time until `deadline`, milliseconds since 1970, less what the answer needs. One from before the process
/// is none: an emulator without deadlines has to send something.
fn remaining(deadline: u64, started: SystemTime) -> Option<Duration> {
    let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(deadline))?;
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    (end > started).then(|| left.saturating_sub(MARGIN))
}

/// The header that the request gets: what it or else the settings ask for, at most `most`. A header that
/// is no number stays, for the router to refuse.
fn deadline(
    request: &Request<Body>,
    usual: Option<Duration>,
    most: Duration,
) -> Option<HeaderValue> {
    let asked = match request.headers().get(DEADLINE) {
        Some(value) => Some(Duration::from_millis(
            value.to_str().ok()?.trim().parse().ok()?,
        )),
        None => usual,
    };
    let time = asked.map_or(most, |asked| asked.min(most));
    HeaderValue::from_str(&time.as_millis().to_string()).ok()
}
