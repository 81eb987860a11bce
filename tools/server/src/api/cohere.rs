//! `/v1/rerank` and `/v2/rerank`: the shapes of Cohere and Jina, which are compatible. The answer
//! has the fields of both.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::body;
use super::error::{ApiError, ErrorKind};
use super::observe::RequestId;
use super::submit::{CommonFields, describe};
use crate::app::App;
use crate::compute::{Computed, Operation, Ranked};

#[derive(Debug, Deserialize)]
struct Request {
    query: String,
    documents: Vec<Document>,
    top_n: Option<usize>,
    return_documents: Option<bool>,
    max_tokens_per_doc: Option<usize>,
    /// Cohere's v1: the fields to read from documents that are objects, in this order.
    rank_fields: Option<Vec<String>>,
    #[serde(flatten)]
    common: CommonFields,
}

/// A document as the client sent it.
#[derive(Debug, Clone)]
enum Document {
    Text(String),
    Object(Map<String, Value>),
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document: a string or an object")
            }

            fn visit_str<E>(self, text: &str) -> Result<Document, E> {
                Ok(Document::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Document, E> {
                Ok(Document::Text(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
                Map::deserialize(MapAccessDeserializer::new(map)).map(Document::Object)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Document {
    /// The text that the model reads.
    fn into_text(self, index: usize, fields: Option<&[String]>) -> Result<String, ApiError> {
        let wrong = |what: &str| {
            Err(ApiError::new(
                ErrorKind::Validation,
                format!("documents[{index}]: {what}"),
            ))
        };
        match (self, fields) {
            (Document::Text(text), _) => Ok(text),
            (Document::Object(object), Some(fields)) => {
                let mut lines = Vec::with_capacity(fields.len());
                for field in fields {
                    match object.get(field) {
                        Some(Value::String(text)) => lines.push(format!("{field}: {text}")),
                        Some(value) => lines.push(format!("{field}: {value}")),
                        None => {}
                    }
                }
                if lines.is_empty() {
                    return wrong("has none of `rank_fields`");
                }
                Ok(lines.join("\n"))
            }
            (Document::Object(mut object), None) => match object.remove("text") {
                Some(Value::String(text)) => Ok(text),
                Some(_) => wrong("`text` is not a string"),
                None => wrong("an object without `text`"),
            },
        }
    }

    /// The document as an answer returns it.
    fn echo(&self) -> Value {
        match self {
            Document::Text(text) => serde_json::json!({ "text": text }),
            Document::Object(object) => Value::Object(object.clone()),
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    object: &'static str,
    model: &'a str,
    results: Vec<Rank>,
    usage: Usage,
    meta: Meta,
}

#[derive(Serialize)]
struct Rank {
    index: usize,
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
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

pub(super) async fn rerank_v1(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    rerank(&app, &id, &headers, body, "1").await
}

pub(super) async fn rerank_v2(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    rerank(&app, &id, &headers, body, "2").await
}

async fn rerank(
    app: &App,
    id: &RequestId,
    headers: &HeaderMap,
    body: Body,
    version: &'static str,
) -> Result<Response, ApiError> {
    let request: Request = body::read(app, headers, body).await?;
    request.check()?;
    let returned = (request.return_documents == Some(true)).then(|| request.documents.clone());
    let texts = Arc::new(texts(request.documents, request.rank_fields)?);
    let common = request.common;
    let mut computation = common.computation(app, Operation::Rerank(request.query), texts)?;
    computation.max_text_tokens = request.max_tokens_per_doc;
    let computed = common.run(app, headers, computation).await?;
    let top = request.top_n.unwrap_or(usize::MAX);
    let result = |ranked: Ranked| Rank {
        index: ranked.hit.index,
        relevance_score: ranked.hit.score,
        document: returned
            .as_ref()
            .map(|documents| documents[ranked.hit.index].echo()),
    };
    let tokens = computed.tokens();
    let answer = Answer {
        id: id.as_str(),
        object: "list",
        model: computed.model(),
        results: computed
            .ranking()
            .into_iter()
            .take(top)
            .map(result)
            .collect(),
        usage: Usage {
            total_tokens: tokens,
            prompt_tokens: tokens,
        },
        meta: Meta {
            api_version: ApiVersion { version },
            tokens: Tokens {
                input_tokens: tokens,
            },
            warnings: warnings(&computed),
        },
    };
    Ok(describe(&computed, Json(answer).into_response()))
}

impl Request {
    fn check(&self) -> Result<(), ApiError> {
        let wrong = |kind, message: &str| Err(ApiError::new(kind, message));
        if self.documents.is_empty() {
            return wrong(ErrorKind::Empty, "`documents` cannot be empty");
        }
        if self.top_n == Some(0) {
            return wrong(ErrorKind::Validation, "`top_n` must be at least 1");
        }
        if self.max_tokens_per_doc == Some(0) {
            return wrong(
                ErrorKind::Validation,
                "`max_tokens_per_doc` must be at least 1",
            );
        }
        Ok(())
    }
}

/// The texts to rank.
fn texts(documents: Vec<Document>, fields: Option<Vec<String>>) -> Result<Vec<String>, ApiError> {
    let fields = fields.filter(|fields| !fields.is_empty());
    let documents = documents.into_iter().enumerate();
    documents
        .map(|(index, document)| document.into_text(index, fields.as_deref()))
        .collect()
}

fn warnings(computed: &Computed) -> Vec<String> {
    match computed.missing() {
        0 => Vec::new(),
        n => vec![format!(
            "the deadline passed before {n} documents were scored"
        )],
    }
}
