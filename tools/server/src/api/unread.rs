//! Bodies that no handler read, such as those of requests without a token. A short one is read and
//! dropped, so that the connection can be used again. For others the answer says that the
//! connection closes.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use crate::app::App;

/// Time limit for the rest of an unread body to arrive.
const PATIENCE: Duration = Duration::from_millis(500);

/// A body that comes back if it is dropped before its end.
struct Watched {
    body: Body,
    ended: bool,
    unread: Arc<Mutex<Option<Body>>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.unread.lock().unwrap_or_else(|e| e.into_inner()) = Some(body);
        }
    }
}

/// Wraps every request.
pub(super) async fn finish(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let headers = request.headers();
    let declared = headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // A client that waits for `100 Continue` does not send the body that it asks about.
    let short = declared.is_some_and(|bytes| bytes <= app.settings.max_body as u64)
        && !headers.contains_key(EXPECT);
    let unread = Arc::new(Mutex::new(None));
    let watched = |body| {
        Body::new(Watched {
            body,
            ended: false,
            unread: Arc::clone(&unread),
        })
    };
    let mut response = next.run(request.map(watched)).await;
    let left = unread.lock().unwrap_or_else(|e| e.into_inner()).take();
    if let Some(body) = left
        && !(short && drained(body).await)
    {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

/// Reads a body to its end; whether it came in time.
async fn drained(mut body: Body) -> bool {
    let all = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap_or(false)
}
