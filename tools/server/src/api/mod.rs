//! The routes. Each module is one peer's shape of requests and answers; errors find theirs by the
//! path ([`error::Shape`]).

pub mod error;

mod body;
mod cohere;
mod compute;
mod embeddings;
mod status;
mod tei;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::Tokens;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::observe::observe;
use crate::schedule::Pool;
use crate::{ServeError, Settings};
use error::{ApiError, Kind};

/// What all requests share.
pub struct App {
    /// What the server runs with.
    pub settings: Settings,
    /// The models.
    pub models: Models,
    /// The threads that compute.
    pub pool: Pool,
    pub(crate) metrics: Metrics,
    pub(crate) tokens: Tokens,
    /// Whether the server is shutting down.
    pub draining: AtomicBool,
}

impl App {
    /// Opens the models and starts the threads; whoever has requests gives them to [`router`].
    ///
    /// # Errors
    /// What could not be had.
    pub fn open(settings: Settings) -> Result<App, ServeError> {
        let models = Models::open(&settings)?;
        let pool =
            Pool::start(settings.threads, settings.queue).map_err(|source| ServeError::Io {
                what: "starting threads".to_owned(),
                source,
            })?;
        let metrics = Metrics::new().map_err(|e| ServeError::Config(format!("metrics: {e}")))?;
        Ok(App {
            tokens: Tokens::new(&settings.tokens),
            models,
            pool,
            metrics,
            draining: AtomicBool::new(false),
            settings,
        })
    }
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let guarded = Router::new()
        .route("/rerank", post(tei::rerank))
        .route("/v1/rerank", post(cohere::rerank_v1))
        .route("/v2/rerank", post(cohere::rerank_v2))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/models", get(status::models))
        .layer(from_fn_with_state(Arc::clone(&app), authorize));
    let open = Router::new()
        .route("/", get(status::page))
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(status::openapi));
    let unknown = || async { ApiError::new(Kind::NotFound, "there is nothing at this path") };
    let method = || async { ApiError::new(Kind::Method, "this path does not take this method") };
    guarded
        .merge(open)
        .fallback(unknown)
        .method_not_allowed_fallback(method)
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(Kind::Backend, "the request could not be answered").into_response()
        }))
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.tokens.admit(request.headers()) {
        true => next.run(request).await,
        false => ApiError::new(Kind::Unauthorized, "no valid bearer token").into_response(),
    }
}
