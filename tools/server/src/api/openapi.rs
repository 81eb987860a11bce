//! The OpenAPI document: paths from the table of routes, schemas from `components.json`.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::ErrorKind;
use super::surface::{Answer, Route, Surface};

const COMPONENTS: &str = include_str!("components.json");
const DESCRIPTION: &str = "Reranking with small cross-encoders on a CPU, in the shapes of \
    text-embeddings-inference (/rerank), Cohere and Jina (/v1/rerank, /v2/rerank) and OpenAI \
    (/v1/embeddings). Unknown fields are ignored.";

/// The document of these routes.
pub(super) fn document(surfaces: &[Surface]) -> String {
    // The tests read `components.json`; it cannot be wrong here.
    let components: Value = serde_json::from_str(COMPONENTS).unwrap_or_default();
    let mut paths = Map::new();
    for surface in surfaces {
        for route in surface.routes {
            let methods = paths.entry(route.path).or_insert_with(|| json!({}));
            methods[route.method.name()] = operation(surface, route);
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "lanerank",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": env!("CARGO_PKG_LICENSE")},
            "description": DESCRIPTION,
        },
        "paths": paths,
        "components": components,
    });
    format!("{document:#}")
}

fn operation(surface: &Surface, route: &Route) -> Value {
    let mut operation = json!({"summary": route.summary, "responses": responses(surface, route)});
    if surface.guarded {
        operation["security"] = json!([{}, {"bearer": []}]);
    }
    if let Some(name) = route.request {
        operation["operationId"] = json!(name);
        let parameter = |name| reference("parameters", name);
        operation["parameters"] = ["Deadline", "OnDeadline", "RequestId"]
            .map(parameter)
            .into();
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": reference("schemas", name)}},
        });
    }
    operation
}

fn responses(surface: &Surface, route: &Route) -> Value {
    let mut responses = json!({"200": success(route)});
    let unauthorized = surface.guarded.then_some(ErrorKind::Unauthorized);
    for kind in route.errors.iter().copied().chain(unauthorized) {
        let status = kind.status();
        let schema = reference("schemas", errors_of(surface, route));
        let response = &mut responses[status.as_str()];
        *response = json!({
            "description": meaning(status),
            "content": {"application/json": {"schema": schema}},
        });
        if kind == ErrorKind::Overloaded {
            let schema = json!({"type": "integer"});
            let header = json!({"description": "Seconds", "schema": schema});
            response["headers"] = json!({"Retry-After": header});
        }
    }
    responses
}

/// The schema of a route's errors: one that answers in either shape refuses in either.
fn errors_of(surface: &Surface, route: &Route) -> &'static str {
    match route.answer {
        Answer::Schema("RanksOrReranked") => "TeiOrCohereError",
        _ => surface.shape.schema(),
    }
}

fn success(route: &Route) -> Value {
    let (media, schema) = match route.answer {
        Answer::Schema(name) => ("application/json", reference("schemas", name)),
        Answer::Type(media, kind) => (media, json!({"type": kind})),
    };
    let mut response = json!({"description": "Done", "content": {media: {"schema": schema}}});
    if route.request.is_some() {
        response["headers"] = json!({
            "x-request-id": reference("headers", "RequestId"),
            "x-unscored": reference("headers", "Unscored"),
        });
    }
    response
}

fn reference(folder: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{folder}/{name}")})
}

/// What a status says; several kinds of errors can share one.
fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "Not JSON, or nothing to compute",
        StatusCode::UNAUTHORIZED => "No valid bearer token",
        StatusCode::NOT_FOUND => "No such model",
        StatusCode::REQUEST_TIMEOUT => "The body did not arrive in time",
        StatusCode::PAYLOAD_TOO_LARGE => {
            "Too many bytes, texts or tokens, or a text that is too long and must not be truncated"
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The content type is not JSON",
        StatusCode::UNPROCESSABLE_ENTITY => "JSON, but not a valid request",
        StatusCode::TOO_MANY_REQUESTS => "The queue is full; Retry-After says when to try again",
        StatusCode::SERVICE_UNAVAILABLE => "Not ready",
        StatusCode::GATEWAY_TIMEOUT => "The deadline passed",
        _ => "The computation failed",
    }
}
