//! What a server says of itself.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::App;
use super::error::{ApiError, Kind};
use crate::metrics::Metrics;

const PAGE: &str = include_str!("../page.html");
const OPENAPI: &str = include_str!("../openapi.json");

/// Nothing but the page's own script and style runs, and it talks to this server only.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |tag: &str| {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let inside = PAGE
            .split_once(&open)
            .and_then(|(_, rest)| rest.split_once(&close));
        let inside = inside.map_or("", |(inside, _)| inside);
        STANDARD.encode(Sha256::digest(inside.as_bytes()))
    };
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style"),
    )
});

pub async fn page() -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(PAGE)).into_response()
}

/// Whether the process is worth keeping.
pub async fn health(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    match app.pool.healthy() {
        true => Ok(Json(json!({"status": "ok"}))),
        false => Err(ApiError::new(Kind::Unhealthy, "a scoring thread has ended")),
    }
}

/// Whether to send it requests.
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let refuse = |why| Err(ApiError::new(Kind::Unhealthy, why));
    match () {
        () if app.draining.load(Ordering::Relaxed) => refuse("shutting down"),
        () if !app.pool.healthy() => refuse("a scoring thread has ended"),
        () if app.pool.taken() >= app.settings.queue => refuse("the queue is full"),
        () => {
            let models: Vec<&str> = app.models.names().collect();
            Ok(Json(json!({"status": "ready", "models": models})))
        }
    }
}

pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let page = app.metrics.page(app.pool.waiting(), app.pool.taken());
    let page = page.map_err(|e| ApiError::new(Kind::Backend, e.to_string()))?;
    Ok(([(CONTENT_TYPE, Metrics::media_type())], page).into_response())
}

/// The models, as in OpenAI's API.
pub async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let model = |name: &str| json!({"id": name, "object": "model", "owned_by": "lanerank"});
    let data: Vec<Value> = app.models.names().map(model).collect();
    Json(json!({"object": "list", "data": data}))
}

pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
