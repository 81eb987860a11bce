//! text-embeddings-inference's `/info` and `/tokenize`, which clients ask before they use a model.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use lanerank::format::directory::Dtype;
use lanerank::model::Head;
use lanerank::tokenizer::TokenizerScratch;
use lanerank::{Model, Tokenizer};
use lanerank_requests::{Flag, json as read};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::body;
use super::error::{ApiError, ErrorKind};
use crate::app::App;
use crate::compute::{ComputeError, TaskError, find};

/// The first model and the limits.
pub(super) async fn info(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let loaded = find(&app, None)?;
    let settings = &app.settings;
    let model = loaded.ranker.model();
    Ok(Json(json!({
        "model_id": loaded.name,
        "model_sha": null,
        "model_dtype": dtype(model),
        "model_type": model_type(model),
        "max_concurrent_requests": settings.queue,
        "max_input_length": loaded.ranker.max_length(),
        "max_batch_tokens": settings.max_tokens,
        "max_batch_requests": null,
        "max_client_batch_size": settings.max_documents,
        "auto_truncate": settings.auto_truncate,
        "tokenization_workers": settings.threads,
        "version": env!("CARGO_PKG_VERSION"),
        "sha": null,
        "docker_label": null,
    })))
}

/// The type of the weights.
fn dtype(model: &Model) -> &'static str {
    let has = |dtype| model.sections().iter().any(|s| s.dtype == dtype);
    if has(Dtype::I8) {
        "int8"
    } else if has(Dtype::F16) {
        "float16"
    } else {
        "float32"
    }
}

fn model_type(model: &Model) -> Value {
    match model.config().head {
        Head::Classifier { .. } => json!({
            "reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}},
        }),
        Head::Encoder { pooling, .. } => json!({"embedding": {"pooling": pooling.name()}}),
        _ => json!({}),
    }
}

#[derive(Debug, Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    add_special_tokens: Option<Flag>,
    model: Option<String>,
}

struct Request {
    texts: Vec<String>,
    special: bool,
    model: Option<String>,
}

/// The tokens of texts.
pub(super) async fn tokenize(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let most = app.settings.max_documents;
    let parse = move |text: &str| {
        let fields: Fields = read::object(text)?;
        let texts = read::texts("inputs", read::required("inputs", fields.inputs)?, most)?;
        if texts.is_empty() {
            return Err(ApiError::new(ErrorKind::Empty, "`inputs` cannot be empty"));
        }
        Ok(Request {
            texts,
            special: fields.add_special_tokens != Some(Flag(false)),
            model: fields.model,
        })
    };
    let request = body::read(&app, &headers, body, parse).await?;
    let model = find(&app, request.model.as_deref())?;
    let bytes = request.texts.iter().map(String::len).sum();
    let most = app.settings.max_tokens;
    let answer = move || {
        let tokens = tokens(&model.tokenizer, &request, most)?;
        Ok(Json(tokens).into_response())
    };
    body::run(&app, bytes, answer).await?
}

fn tokens<'a>(
    tokenizer: &'a Tokenizer,
    request: &Request,
    most: usize,
) -> Result<Vec<Tokens<'a>>, ApiError> {
    let mut scratch = TokenizerScratch::default();
    let mut total = 0;
    let mut all = Vec::with_capacity(request.texts.len());
    for text in &request.texts {
        let mut ids = Vec::new();
        total += tokenizer.tokenize_into(text, most, &mut scratch, &mut ids);
        if total > most {
            let tokens = total;
            return Err(ComputeError::Task(TaskError::TooManyTokens { tokens, most }).into());
        }
        all.push(Tokens {
            tokenizer,
            ids,
            special: request.special,
        });
    }
    Ok(all)
}

/// A text's tokens.
struct Tokens<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// With the special tokens around them.
    special: bool,
}

#[derive(Serialize)]
struct Token<'a> {
    id: u32,
    /// As the vocabulary spells it.
    text: &'a str,
    special: bool,
    start: Option<usize>,
    stop: Option<usize>,
}

impl Serialize for Tokens<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let token = |id, special| Token {
            id,
            text: self.tokenizer.token(id).unwrap_or_default(),
            special,
            start: None,
            stop: None,
        };
        let mut list = serializer.serialize_seq(None)?;
        if self.special {
            list.serialize_element(&token(self.tokenizer.cls_id(), true))?;
        }
        for &id in &self.ids {
            list.serialize_element(&token(id, false))?;
        }
        if self.special {
            list.serialize_element(&token(self.tokenizer.sep_id(), true))?;
        }
        list.end()
    }
}
