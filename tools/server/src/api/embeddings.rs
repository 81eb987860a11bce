//! `/v1/embeddings`: OpenAI's shape, for sentence encoders.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lanerank_requests::{Count, OnDeadline, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body;
use super::error::{ApiError, ErrorKind};
use super::submit::{CommonFields, describe};
use crate::app::App;
use crate::compute::{Computed, Operation};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Float,
    Base64,
}

#[derive(Debug, Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    encoding_format: Option<Format>,
    dimensions: Option<Count>,
    model: Option<String>,
    deadline_ms: Option<Count>,
    on_deadline: Option<OnDeadline>,
}

struct Request {
    texts: Vec<String>,
    format: Format,
    dimensions: Option<usize>,
    common: CommonFields,
}

impl Request {
    /// Reads the texts, at most `most`.
    fn new(fields: Fields, most: usize) -> Result<Request, ApiError> {
        let texts = json::texts("input", json::required("input", fields.input)?, most)?;
        if texts.is_empty() {
            return Err(ApiError::new(ErrorKind::Empty, "`input` cannot be empty"));
        }
        Ok(Request {
            texts,
            format: fields.encoding_format.unwrap_or_default(),
            dimensions: fields.dimensions.map(Count::size),
            common: CommonFields {
                model: fields.model,
                deadline_ms: fields.deadline_ms,
                on_deadline: fields.on_deadline,
            },
        })
    }

    /// `dimensions` must be the model's own: vectors are not shortened.
    fn check_dimensions(&self, app: &App) -> Result<(), ApiError> {
        let model = app.models.get(self.common.model.as_deref());
        let encoder = model.as_ref().and_then(|model| model.encoder.as_ref());
        match (self.dimensions, encoder) {
            (Some(asked), Some(encoder)) if asked != encoder.dimension() => {
                let message = format!("`dimensions`: this model has {}", encoder.dimension());
                Err(ApiError::new(ErrorKind::Validation, message))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Float(&'a [f32]),
    /// Little-endian f32, in base64.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

pub(super) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let most = app.settings.max_documents;
    let parse = move |text: &str| Request::new(json::object(text)?, most);
    let request = body::read(&app, &headers, body, parse).await?;
    request.check_dimensions(&app)?;
    let format = request.format;
    let common = request.common;
    let texts = Arc::new(request.texts);
    let computation = common.computation(&app, Operation::Embed, texts)?;
    let computed = common.run(&app, &headers, computation).await?;
    let bytes = computed.vectors().map(|(_, v)| size_of_val(v)).sum();
    body::run(&app, bytes, move || answer(&computed, format)).await
}

fn answer(computed: &Computed, format: Format) -> Response {
    let embedding = |(index, vector)| Embedding {
        object: "embedding",
        index,
        embedding: encode(vector, format),
    };
    let tokens = computed.tokens();
    let answer = Answer {
        object: "list",
        data: computed.vectors().map(embedding).collect(),
        model: computed.model(),
        usage: Usage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    };
    describe(computed, Json(answer).into_response())
}

fn encode(vector: &[f32], format: Format) -> Vector<'_> {
    match format {
        Format::Float => Vector::Float(vector),
        Format::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}
