//! `/v1/embeddings`: OpenAI's shape, for sentence encoders.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::body;
use super::error::{ApiError, ErrorKind};
use super::submit::{CommonFields, describe};
use crate::app::App;
use crate::compute::Operation;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Float,
    Base64,
}

#[derive(Debug, Deserialize)]
struct Request {
    input: Input,
    encoding_format: Option<Format>,
    dimensions: Option<usize>,
    #[serde(flatten)]
    common: CommonFields,
}

impl Request {
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

/// One text, or several.
#[derive(Debug)]
struct Input(Vec<String>);

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Input;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings (token ids are not taken)")
            }

            fn visit_str<E>(self, text: &str) -> Result<Input, E> {
                Ok(Input(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Input, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Input(texts))
            }
        }
        deserializer.deserialize_any(Either)
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
    let request: Request = body::read(&app, &headers, body).await?;
    if request.input.0.is_empty() {
        return Err(ApiError::new(ErrorKind::Empty, "`input` cannot be empty"));
    }
    request.check_dimensions(&app)?;
    let format = request.encoding_format.unwrap_or_default();
    let common = request.common;
    let texts = Arc::new(request.input.0);
    let computation = common.computation(&app, Operation::Embed, texts)?;
    let computed = common.run(&app, &headers, computation).await?;
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
    Ok(describe(&computed, Json(answer).into_response()))
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
