//! The shapes of Cohere and Jina, which are compatible. The answer has the fields of both.

use std::sync::Arc;

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use lanerank_requests::{Count, Flag, RerankFields, json};
use serde::Serialize;
use serde_json::value::RawValue;

use super::body;
use super::error::{ApiError, ErrorKind};
use super::observe::RequestId;
use super::submit::{self, CommonFields, describe};
use crate::app::App;
use crate::compute::{Computed, Operation};

/// A request in this shape.
#[derive(Debug)]
pub(super) struct Request {
    query: String,
    texts: Vec<String>,
    top_n: usize,
    /// The documents that are objects, if the answer returns documents.
    returned: Option<Vec<Option<Box<RawValue>>>>,
    max_tokens_per_doc: Option<usize>,
    common: CommonFields,
}

impl Request {
    /// Reads the documents, at most `most`.
    pub(super) fn new(mut fields: RerankFields, most: usize) -> Result<Request, ApiError> {
        let query = json::required("query", fields.query.take())?;
        let documents = fields.documents(&["documents"], most)?;
        let texts = submit::texts(&documents)?;
        let wrong = |message: &str| Err(ApiError::new(ErrorKind::Validation, message));
        let top_n = match (fields.top_n, fields.top_k) {
            (Some(n), Some(k)) if n != k => {
                return wrong("`top_n` and `top_k` differ");
            }
            (n, k) => n.or(k),
        };
        if top_n == Some(Count(0)) {
            let name = if fields.top_n.is_some() {
                "top_n"
            } else {
                "top_k"
            };
            return wrong(&format!("`{name}` must be at least 1"));
        }
        if fields.max_tokens_per_doc == Some(Count(0)) {
            return wrong("`max_tokens_per_doc` must be at least 1");
        }
        let returned = (fields.return_documents == Some(Flag(true))).then(|| {
            let objects = documents.objects();
            objects
                .map(|object| object.map(ToOwned::to_owned))
                .collect()
        });
        Ok(Request {
            texts,
            top_n: top_n.map_or(usize::MAX, Count::size),
            returned,
            max_tokens_per_doc: fields.max_tokens_per_doc.map(Count::size),
            common: CommonFields::of(&mut fields),
            query,
        })
    }
}

/// A document as the answer returns it.
#[derive(Serialize)]
#[serde(untagged)]
enum Returned<'a> {
    Text {
        text: &'a str,
    },
    /// As the client sent it.
    Object(&'a RawValue),
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    object: &'static str,
    model: &'a str,
    results: Vec<Rank<'a>>,
    usage: Usage,
    meta: Meta,
}

#[derive(Serialize)]
struct Rank<'a> {
    index: usize,
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Returned<'a>>,
}

/// Jina's field.
#[derive(Serialize)]
struct Usage {
    total_tokens: usize,
    prompt_tokens: usize,
}

/// Cohere's field.
#[derive(Serialize)]
struct Meta {
    api_version: ApiVersion,
    tokens: Tokens,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ApiVersion {
    version: &'static str,
}

#[derive(Serialize)]
struct Tokens {
    input_tokens: usize,
}

/// Answers a request, as this version of Cohere's API.
pub(super) async fn rerank(
    app: &App,
    headers: &HeaderMap,
    id: RequestId,
    request: Request,
    version: &'static str,
) -> Result<Response, ApiError> {
    let texts = Arc::new(request.texts);
    let operation = Operation::Rerank(request.query);
    let common = request.common;
    let mut computation = common.computation(app, operation, Arc::clone(&texts))?;
    computation.max_text_tokens = request.max_tokens_per_doc;
    let computed = common.run(app, headers, computation).await?;
    let (top, returned) = (request.top_n, request.returned);
    let bytes = texts.iter().map(String::len).sum();
    let bytes = if returned.is_some() { bytes } else { 0 };
    let answer = move || {
        let documents = returned
            .as_deref()
            .map(|objects| Documents(&texts, objects));
        answer(&computed, id.as_str(), top, documents, version)
    };
    body::run(app, bytes, answer).await
}

/// The documents to return: texts, and the objects among them.
#[derive(Clone, Copy)]
struct Documents<'a>(&'a [String], &'a [Option<Box<RawValue>>]);

impl<'a> Documents<'a> {
    fn get(self, index: usize) -> Returned<'a> {
        match &self.1[index] {
            Some(object) => Returned::Object(object),
            None => Returned::Text {
                text: &self.0[index],
            },
        }
    }
}

fn answer(
    computed: &Computed,
    id: &str,
    top: usize,
    documents: Option<Documents>,
    version: &'static str,
) -> Response {
    let tokens = computed.tokens();
    let ranking = computed.ranking().into_iter().take(top);
    let results = ranking.map(|ranked| Rank {
        index: ranked.hit.index,
        relevance_score: ranked.hit.score,
        document: documents.map(|documents| documents.get(ranked.hit.index)),
    });
    let answer = Answer {
        id,
        object: "list",
        model: computed.model(),
        results: results.collect(),
        usage: Usage {
            total_tokens: tokens,
            prompt_tokens: tokens,
        },
        meta: Meta {
            api_version: ApiVersion { version },
            tokens: Tokens {
                input_tokens: tokens,
            },
            warnings: warnings(computed),
        },
    };
    describe(computed, Json(answer).into_response())
}

fn warnings(computed: &Computed) -> Vec<String> {
    match computed.missing() {
        0 => Vec::new(),
        n => vec![format!(
            "the deadline passed before {n} documents were scored"
        )],
    }
}
