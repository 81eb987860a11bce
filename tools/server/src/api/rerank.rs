//! The rerank routes: which shape a body has.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use lanerank_requests::{RerankFields, json};

use super::error::{ApiError, Shape};
use super::observe::RequestId;
use super::{body, cohere, tei};
use crate::app::App;

enum Request {
    Tei(tei::Request),
    Cohere(cohere::Request),
}

/// TEI's shape, or Cohere's if the list is called `documents` only: several servers answer Cohere's
/// shape without `/v1`. Its errors then have Cohere's shape too.
pub(super) async fn either(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let most = app.settings.max_documents;
    let parse = move |text: &str| {
        let fields: RerankFields = json::object(text)?;
        let ours = fields.texts.or(fields.passages);
        if ours.is_none() && fields.documents.is_some() {
            let request = cohere::Request::new(fields, most);
            return request.map(Request::Cohere).map_err(as_cohere);
        }
        tei::Request::new(fields, most).map(Request::Tei)
    };
    match body::read(&app, &headers, body, parse).await? {
        Request::Tei(request) => tei::rerank(&app, &headers, request).await,
        Request::Cohere(request) => {
            let answer = cohere::rerank(&app, &headers, id, request, "1").await;
            answer.map_err(as_cohere)
        }
    }
}

fn as_cohere(error: ApiError) -> ApiError {
    error.shaped(Shape::Cohere)
}

/// Cohere's v1, and Jina's.
pub(super) async fn v1(
    app: State<Arc<App>>,
    id: Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    cohere_only(app, id, headers, body, "1").await
}

/// Cohere's v2.
pub(super) async fn v2(
    app: State<Arc<App>>,
    id: Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    cohere_only(app, id, headers, body, "2").await
}

async fn cohere_only(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
    version: &'static str,
) -> Result<Response, ApiError> {
    let most = app.settings.max_documents;
    let parse = move |text: &str| cohere::Request::new(json::object(text)?, most);
    let request = body::read(&app, &headers, body, parse).await?;
    cohere::rerank(&app, &headers, id, request, version).await
}
