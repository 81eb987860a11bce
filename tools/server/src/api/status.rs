//! `/v1/models`, `/health`, `/ready`, `/metrics` and the page.

use std::sync::Arc;
use std::sync::LazyLock;

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

use super::error::{ApiError, ErrorKind};
use crate::app::App;
use crate::metrics::Metrics;

const PAGE: &str = include_str!("../page.html");

/// Allows only the page's own script and style, and only connections to this server.
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

pub(super) async fn page() -> Response {
    let headers = [
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(PAGE)).into_response()
}

/// Liveness.
pub(super) async fn health(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.health()?;
    Ok(Json(json!({"status": "ok"})))
}

/// Readiness.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.readiness()?;
    let models: Vec<&str> = app.models.names().collect();
    Ok(Json(json!({"status": "ready", "models": models})))
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let page = app.metrics.page(app.pool.waiting(), app.pool.in_flight());
    let page = page.map_err(|e| ApiError::new(ErrorKind::Backend, e.to_string()))?;
    Ok(([(CONTENT_TYPE, Metrics::media_type())], page).into_response())
}

/// The models, in the shape of OpenAI's API.
pub(super) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    let model = |name: &str| json!({"id": name, "object": "model", "owned_by": "lanerank"});
    let data: Vec<Value> = app.models.names().map(model).collect();
    Json(json!({"object": "list", "data": data}))
}
