//! The outermost layer: id, metrics and log line of every request.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::error::ErrorKind;
use crate::app::App;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 128;

/// The id of a request in the log and in the answer: the client's, or a new one.
#[derive(Debug, Clone)]
pub(super) struct RequestId(Arc<str>);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        let usable = |id: &&str| {
            (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        match given.filter(usable) {
            Some(id) => RequestId(id.into()),
            None => RequestId(Self::generate().into()),
        }
    }

    /// Unique within the process, and almost certainly between processes.
    fn generate() -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0));
        format!(
            "{:016x}-{:x}",
            *PROCESS,
            COUNT.fetch_add(1, Ordering::Relaxed)
        )
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a handler reports for the log.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    pub(super) model: String,
    /// Number of texts in the request.
    pub(super) texts: usize,
    /// Number of tokens computed.
    pub(super) tokens: usize,
}

/// Counts a request whose client disconnects: its handler is dropped before it has an answer.
struct Disconnect<'a> {
    app: &'a App,
    id: &'a RequestId,
    route: &'a str,
    answered: bool,
}

impl Drop for Disconnect<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.app.metrics.cancelled.inc();
            tracing::info!(
                id = self.id.as_str(),
                route = self.route,
                "client disconnected"
            );
        }
    }
}

/// Wraps every request.
pub(super) async fn observe(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched
        .as_ref()
        .map_or("other", |matched| match matched.as_str() {
            "/" => "/",
            path => path.trim_end_matches('/'),
        });
    let method = request.method().clone();
    let mut disconnect = Disconnect {
        app: &app,
        id: &id,
        route,
        answered: false,
    };
    let mut response = next.run(request).await;
    disconnect.answered = true;
    let kind = response.extensions_mut().remove::<ErrorKind>();
    let status = response.status();
    let elapsed = started.elapsed();
    let metrics = &app.metrics;
    metrics
        .requests
        .with_label_values(&[route, status.as_str()])
        .inc();
    metrics
        .seconds
        .with_label_values(&[route])
        .observe(elapsed.as_secs_f64());
    if let Some(kind) = kind {
        metrics.rejected.with_label_values(&[kind.label()]).inc();
    }
    let summary = response.extensions_mut().remove::<Summary>();
    tracing::info!(
        id = id.as_str(),
        method = method.as_str(),
        route,
        status = status.as_u16(),
        ms = elapsed.as_secs_f64() * 1e3,
        error = kind.map(|kind| kind.label()),
        model = summary.as_ref().map(|s| s.model.as_str()),
        texts = summary.as_ref().map(|s| s.texts),
        tokens = summary.as_ref().map(|s| s.tokens),
        "request"
    );
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
