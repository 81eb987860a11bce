//! Adapts an event's request for the router: removes the stage from the path, and sets the deadline
//! by which Lambda ends the function.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Uri};
use lambda_http::request::RequestContext;
use lambda_http::{Body, RequestExt};

/// The server's request header for the deadline in milliseconds.
const DEADLINE: &str = "x-deadline-ms";
/// Time reserved for the answer to reach Lambda.
const MARGIN: Duration = Duration::from_millis(50);

/// Removes the stage from the path, and sets a deadline before Lambda ends the function. `default`
/// is the deadline of requests that set none; `started` is the start of the process.
pub fn adapt(
    mut request: Request<Body>,
    default: Option<Duration>,
    started: SystemTime,
) -> Request<Body> {
    if let Some(uri) = without_stage(&request) {
        *request.uri_mut() = uri;
    }
    let remaining = request
        .lambda_context_ref()
        .and_then(|context| remaining(context.deadline, started));
    if let Some(deadline) = remaining.and_then(|most| deadline(&request, default, most)) {
        request.headers_mut().insert(DEADLINE, deadline);
    }
    request
}

/// The URI with the path that the routes expect. `lambda_http` prepends the stage to it. The
/// event's own path has no stage from a REST API, but has one from an HTTP API.
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

/// Time until `deadline` (milliseconds since 1970), minus [`MARGIN`]. `None` for a deadline before
/// the process started: emulators without deadlines send one.
fn remaining(deadline: u64, started: SystemTime) -> Option<Duration> {
    let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(deadline))?;
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    (end > started).then(|| left.saturating_sub(MARGIN))
}

/// The deadline header: the request's, or else the default, but at most `most`. A header that is
/// not a number is kept, for the router to refuse.
fn deadline(
    request: &Request<Body>,
    default: Option<Duration>,
    most: Duration,
) -> Option<HeaderValue> {
    let asked = match request.headers().get(DEADLINE) {
        Some(value) => Some(Duration::from_millis(
            value.to_str().ok()?.trim().parse().ok()?,
        )),
        None => default,
    };
    let time = asked.map_or(most, |asked| asked.min(most));
    HeaderValue::from_str(&time.as_millis().to_string()).ok()
}
