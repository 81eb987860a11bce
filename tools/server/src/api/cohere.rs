//! `/v1/rerank` and `/v2/rerank`: Cohere's and Jina's, whose requests and answers do not contradict
//! each other. The answer has the fields of both.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lanerank::TruncationSide;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::App;
use super::body;
use super::compute::{Computation, Computed, Extras};
use super::error::{ApiError, Kind};
use crate::observe::RequestId;
use crate::schedule::Work;

#[derive(Debug, Deserialize)]
struct Request {
    query: String,
    documents: Vec<Document>,
    top_n: Option<usize>,
    return_documents: Option<bool>,
    max_tokens_per_doc: Option<usize>,
    /// Cohere's v1: the fields of documents that are objects, in this order.
    rank_fields: Option<Vec<String>>,
    #[serde(flatten)]
    extras: Extras,
}

/// A document as it was given.
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
    /// What the model reads.
    fn into_text(self, index: usize, fields: Option<&[String]>) -> Result<String, ApiError> {
        let wrong = |what: &str| {
            Err(ApiError::new(
                Kind::Validation,
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
                match lines.is_empty() {
                    true => wrong("has none of `rank_fields`"),
                    false => Ok(lines.join("\n")),
                }
            }
            (Document::Object(mut object), None) => match object.remove("text") {
                Some(Value::String(text)) => Ok(text),
                Some(_) => wrong("`text` is not a string"),
                None => wrong("an object without `text`"),
            },
        }
    }

    /// How it is given back.
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
    results: Vec<Hit>,
    usage: Usage,
    meta: Meta,
}

#[derive(Serialize)]
struct Hit {
    index: usize,
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

/// Jina's.
#[derive(Serialize)]
struct Usage {
    total_tokens: usize,
    prompt_tokens: usize,
}

/// Cohere's.
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

pub async fn rerank_v1(
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    rerank(&app, &id, &headers, body, "1").await
}

pub async fn rerank_v2(
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
    let (texts, given) = texts(
        request.documents,
        request.rank_fields,
        request.return_documents,
    )?;
    let computation = Computation {
        extras: request.extras,
        work: Work::Rerank(request.query),
        texts: Arc::new(texts),
        refuse_truncation: false,
        truncation_side: TruncationSide::Right,
        max_text_tokens: request.max_tokens_per_doc,
    };
    let computed = computation.run(app, headers).await?;
    let top = request.top_n.unwrap_or(usize::MAX);
    let hit = |ranked: super::compute::Ranked| Hit {
        index: ranked.index,
        relevance_score: ranked.score,
        document: given.as_ref().map(|given| given[ranked.index].echo()),
    };
    let tokens = computed.tokens();
    let answer = Answer {
        id: id.as_str(),
        object: "list",
        model: &computed.model.name,
        results: computed.ranking().into_iter().take(top).map(hit).collect(),
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
    Ok(computed.describe(Json(answer).into_response()))
}

impl Request {
    fn check(&self) -> Result<(), ApiError> {
        let wrong = |kind, message: &str| Err(ApiError::new(kind, message));
        if self.documents.is_empty() {
            return wrong(Kind::Empty, "`documents` cannot be empty");
        }
        if self.top_n == Some(0) {
            return wrong(Kind::Validation, "`top_n` has to be at least 1");
        }
        if self.max_tokens_per_doc == Some(0) {
            return wrong(
                Kind::Validation,
                "`max_tokens_per_doc` has to be at least 1",
            );
        }
        Ok(())
    }
}

/// The texts to rank, and the documents where they are to be given back.
#[allow(clippy::type_complexity)]
fn texts(
    documents: Vec<Document>,
    fields: Option<Vec<String>>,
    give_back: Option<bool>,
) -> Result<(Vec<String>, Option<Vec<Document>>), ApiError> {
    let fields = fields.filter(|fields| !fields.is_empty());
    let given = (give_back == Some(true)).then(|| documents.clone());
    let texts = documents.into_iter().enumerate();
    let texts = texts.map(|(index, document)| document.into_text(index, fields.as_deref()));
    Ok((texts.collect::<Result<_, _>>()?, given))
}

fn warnings(computed: &Computed) -> Vec<String> {
    match computed.missing() {
        0 => Vec::new(),
        n => vec![format!(
            "the deadline passed before {n} documents were scored"
        )],
    }
}
