//! The table of routes. The router and the OpenAPI document are both built from it.
//!
//! # Adding a route
//!
//! 1. Write its handler in the module of its API: `rerank.rs`, `embeddings.rs`, `info.rs`,
//!    `status.rs`, or a new one, which goes into the order at the top of `mod.rs`.
//! 2. Add a row to [`SURFACES`] below.
//! 3. Add the schemas of its body and its answer to `components.json`.
//! 4. A new shape of errors: add a variant to `Shape` in `error.rs`, and its schema.
//! 5. Name it in `tools/server/README.md`, and in `CHANGELOG.md`.
//!
//! Tests: `tests/server/routes.rs` compares this table, the running server and the README.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use tower_http::catch_panic::CatchPanicLayer;

use super::error::{ApiError, ErrorKind, Shape, render};
use super::observe::observe;
use super::surface::{Answer, Method, Route, Surface};
use super::unread::finish;
use super::{embeddings, info, openapi, rerank, status};
use crate::app::App;

/// The errors of routes that read a body and compute.
const COMPUTING: &[ErrorKind] = &[
    ErrorKind::Syntax,
    ErrorKind::Empty,
    ErrorKind::NotFound,
    ErrorKind::Slow,
    ErrorKind::TooLarge,
    ErrorKind::MediaType,
    ErrorKind::Validation,
    ErrorKind::Overloaded,
    ErrorKind::Backend,
    ErrorKind::Deadline,
];

/// The errors of routes that read a body.
const READING: &[ErrorKind] = &[
    ErrorKind::Syntax,
    ErrorKind::Empty,
    ErrorKind::NotFound,
    ErrorKind::Slow,
    ErrorKind::TooLarge,
    ErrorKind::MediaType,
    ErrorKind::Validation,
    ErrorKind::Backend,
];

/// All routes, by sub-router.
pub(super) const SURFACES: &[Surface] = &[
    Surface {
        shape: Shape::Tei,
        guarded: true,
        routes: &[
            Route {
                method: Method::Post,
                path: "/rerank",
                summary: "Rank texts, as text-embeddings-inference does; documents as Cohere does",
                request: Some("Rerank"),
                answer: Answer::Schema("RanksOrReranked"),
                errors: COMPUTING,
                handler: |method| on(method, rerank::either),
            },
            Route {
                method: Method::Post,
                path: "/reranking",
                summary: "As /rerank",
                request: Some("Reranking"),
                answer: Answer::Schema("RanksOrReranked"),
                errors: COMPUTING,
                handler: |method| on(method, rerank::either),
            },
            Route {
                method: Method::Get,
                path: "/info",
                summary: "The first model and the limits, as text-embeddings-inference has them",
                request: None,
                answer: Answer::Schema("Info"),
                errors: &[],
                handler: |method| on(method, info::info),
            },
            Route {
                method: Method::Post,
                path: "/tokenize",
                summary: "The tokens of texts, as text-embeddings-inference has them",
                request: Some("Tokenize"),
                answer: Answer::Schema("Tokens"),
                errors: READING,
                handler: |method| on(method, info::tokenize),
            },
        ],
    },
    Surface {
        shape: Shape::Cohere,
        guarded: true,
        routes: &[
            Route {
                method: Method::Post,
                path: "/v1/rerank",
                summary: "Rank documents, as Cohere's v1 and Jina do",
                request: Some("RerankV1"),
                answer: Answer::Schema("Reranked"),
                errors: COMPUTING,
                handler: |method| on(method, rerank::v1),
            },
            Route {
                method: Method::Post,
                path: "/v1/reranking",
                summary: "As /v1/rerank, for clients of llama.cpp",
                request: Some("RerankingV1"),
                answer: Answer::Schema("Reranked"),
                errors: COMPUTING,
                handler: |method| on(method, rerank::v1),
            },
            Route {
                method: Method::Post,
                path: "/v2/rerank",
                summary: "Rank documents, as Cohere's v2 does",
                request: Some("RerankV2"),
                answer: Answer::Schema("Reranked"),
                errors: COMPUTING,
                handler: |method| on(method, rerank::v2),
            },
        ],
    },
    Surface {
        shape: Shape::OpenAi,
        guarded: true,
        routes: &[
            Route {
                method: Method::Post,
                path: "/v1/embeddings",
                summary: "Vectors of texts, as in OpenAI's API; for sentence encoders",
                request: Some("Embed"),
                answer: Answer::Schema("Embeddings"),
                errors: COMPUTING,
                handler: |method| on(method, embeddings::create),
            },
            Route {
                method: Method::Get,
                path: "/v1/models",
                summary: "The models",
                request: None,
                answer: Answer::Schema("Models"),
                errors: &[],
                handler: |method| on(method, status::models),
            },
        ],
    },
    Surface {
        shape: Shape::Tei,
        guarded: false,
        routes: &[
            Route {
                method: Method::Get,
                path: "/health",
                summary: "Liveness: 503 means restart the process",
                request: None,
                answer: Answer::Schema("Health"),
                errors: &[ErrorKind::Unhealthy],
                handler: |method| on(method, status::health),
            },
            Route {
                method: Method::Get,
                path: "/ready",
                summary: "Readiness: 503 while shutting down or while the queue is full",
                request: None,
                answer: Answer::Schema("Ready"),
                errors: &[ErrorKind::Unhealthy],
                handler: |method| on(method, status::ready),
            },
            Route {
                method: Method::Get,
                path: "/metrics",
                summary: "Metrics in Prometheus' text format",
                request: None,
                answer: Answer::Type("text/plain", "string"),
                errors: &[],
                handler: |method| on(method, status::metrics),
            },
            Route {
                method: Method::Get,
                path: "/openapi.json",
                summary: "This document",
                request: None,
                answer: Answer::Type("application/json", "object"),
                errors: &[],
                handler: |method| on(method, document),
            },
            Route {
                method: Method::Get,
                path: "/",
                summary: "A page to try it in a browser",
                request: None,
                answer: Answer::Type("text/html", "string"),
                errors: &[],
                handler: |method| on(method, status::page),
            },
        ],
    },
];

/// The service of all routes.
pub fn router(app: Arc<App>) -> Router {
    let unknown = || async { ApiError::new(ErrorKind::NotFound, "there is nothing at this path") };
    let root = Router::new()
        .fallback(unknown)
        .layer(map_response(|response| shaped(response, Shape::Tei)));
    let surfaces = SURFACES.iter().map(|surface| mount(surface, &app));
    surfaces
        .fold(root, Router::merge)
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .layer(from_fn_with_state(Arc::clone(&app), finish))
        .with_state(app)
}

/// A sub-router with its access check and its shape of errors.
fn mount(surface: &'static Surface, app: &Arc<App>) -> Router<Arc<App>> {
    let mut router = surface.router();
    if surface.guarded {
        router = router.layer(from_fn_with_state(Arc::clone(app), authorize));
    }
    let shape = surface.shape;
    let wrong =
        || async { ApiError::new(ErrorKind::Method, "this path does not take this method") };
    router
        .method_not_allowed_fallback(wrong)
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(ErrorKind::Backend, "the request could not be answered").into_response()
        }))
        .layer(map_response(move |response| shaped(response, shape)))
}

async fn shaped(response: Response, shape: Shape) -> Response {
    render(response, shape)
}

async fn authorize(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.admits(bearer(request.headers())) {
        return next.run(request).await;
    }
    ApiError::new(ErrorKind::Unauthorized, "no valid bearer token").into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// `/openapi.json`.
async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document(SURFACES));
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn bearer_tokens_are_found() {
        let found = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(<[u8]>::to_vec)
        };
        for good in ["Bearer one", "bearer one", "BEARER  one "] {
            assert_eq!(found(good).unwrap(), b"one", "{good}");
        }
        assert_eq!(found("Bearer ").unwrap(), b"");
        for bad in ["Bearer", "Basic one", "one", ""] {
            assert_eq!(found(bad), None, "{bad}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(target)) = object.get("$ref") {
                    found.insert(target.clone());
                }
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_component_exists_and_is_used() {
        let document: Value = serde_json::from_str(&openapi::document(SURFACES)).unwrap();
        let mut used = BTreeSet::from(["#/components/securitySchemes/bearer".to_owned()]);
        references(&document, &mut used);
        let folders = document["components"].as_object().unwrap();
        let existing = folders.iter().flat_map(|(folder, components)| {
            let names = components.as_object().unwrap().keys();
            names.map(move |name| format!("#/components/{folder}/{name}"))
        });
        assert_eq!(existing.collect::<BTreeSet<_>>(), used);
    }

    #[test]
    fn every_route_is_there_with_its_statuses() {
        let document: Value = serde_json::from_str(&openapi::document(SURFACES)).unwrap();
        let mut documented = 0;
        for methods in document["paths"].as_object().unwrap().values() {
            documented += methods.as_object().unwrap().len();
        }
        let mut routes = 0;
        for surface in SURFACES {
            for route in surface.routes {
                routes += 1;
                let operation = &document["paths"][route.path][route.method.name()];
                assert_eq!(operation["summary"], route.summary);
                let mut statuses = BTreeSet::from(["200".to_owned()]);
                statuses.extend(
                    route
                        .errors
                        .iter()
                        .map(|kind| kind.status().as_str().to_owned()),
                );
                if surface.guarded {
                    statuses.insert("401".to_owned());
                }
                let responses = operation["responses"].as_object().unwrap();
                let responses: BTreeSet<String> = responses.keys().cloned().collect();
                assert_eq!(responses, statuses, "{}", route.path);
            }
        }
        // Two rows with one path and method would share an entry.
        assert_eq!(documented, routes);
    }

    #[cfg(feature = "embedded-model")]
    #[test]
    fn panics_and_wrong_methods_have_the_routers_shape() {
        use axum::body::Body;
        use http_body_util::BodyExt;
        use tower::ServiceExt;

        async fn fails() -> Response {
            panic!("on purpose")
        }
        static SURFACE: Surface = Surface {
            shape: Shape::Cohere,
            guarded: true,
            routes: &[Route {
                method: Method::Post,
                path: "/fails",
                summary: "",
                request: None,
                answer: Answer::Schema(""),
                errors: &[],
                handler: |method| on(method, fails),
            }],
        };
        let options = crate::options::ServeOptions {
            threads: Some(1),
            ..Default::default()
        };
        let settings = crate::settings::ServeSettings::new(options, |_| Err(String::new()));
        let app = Arc::new(App::open(settings.unwrap()).unwrap());
        let router = mount(&SURFACE, &app).with_state(app);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.unwrap();
        for (method, status) in [("POST", 500), ("GET", 405)] {
            let request = Request::builder().method(method).uri("/fails");
            let request = request.body(Body::empty()).unwrap();
            let response = runtime.block_on(router.clone().oneshot(request)).unwrap();
            assert_eq!(response.status(), status);
            assert!(response.extensions().get::<ErrorKind>().is_some());
            let bytes = runtime.block_on(response.into_body().collect()).unwrap();
            let body: Value = serde_json::from_slice(&bytes.to_bytes()).unwrap();
            assert!(body["message"].is_string(), "{method}: {body}");
            assert_eq!(body["message"], body["detail"]);
        }
    }
}
