//! `/rerank`: the shape of Hugging Face's text-embeddings-inference (TEI).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use lanerank::tokenizer::TokenizerScratch;
use lanerank::{Hit, Span, Tokenizer, TruncationSide};
use serde::{Deserialize, Serialize};

use super::body;
use super::error::{ApiError, ErrorKind};
use super::submit::{CommonFields, describe};
use crate::app::App;
use crate::compute::Operation;

/// Maximum number of truncated tokens listed per text.
const LISTED_TOKENS: usize = 1000;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
enum Direction {
    #[serde(alias = "left")]
    Left,
    #[default]
    #[serde(alias = "right")]
    Right,
}

#[derive(Debug, Deserialize)]
struct Request {
    query: String,
    texts: Vec<String>,
    #[serde(default)]
    raw_scores: bool,
    #[serde(default)]
    return_text: bool,
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: Direction,
    /// Our extension: list what was truncated.
    #[serde(default)]
    return_cut: bool,
    /// Our extension: each word's contribution to the score.
    #[serde(default)]
    explain: bool,
    #[serde(flatten)]
    common: CommonFields,
}

#[derive(Serialize)]
struct Rank<'a> {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Truncated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<Piece<'a>>>,
}

/// A piece of a text. The pieces concatenate to the text.
#[derive(Serialize)]
struct Piece<'a> {
    text: &'a str,
    /// The logit minus the logit without the piece; `None` for spaces and truncated text.
    effect: Option<f32>,
}

/// What the model did not read of a pair.
#[derive(Serialize)]
struct Truncated {
    query_tokens: usize,
    passage_tokens: usize,
    /// The passage's truncated tokens as the vocabulary spells them, at most [`LISTED_TOKENS`].
    tokens: Vec<String>,
}

pub(super) async fn rerank(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let request: Request = body::read(&app, &headers, body).await?;
    if request.texts.is_empty() {
        return Err(ApiError::new(ErrorKind::Empty, "`texts` cannot be empty"));
    }
    let texts = Arc::new(request.texts);
    let side = match request.truncation_direction {
        Direction::Left => TruncationSide::Left,
        Direction::Right => TruncationSide::Right,
    };
    let operation = if request.explain {
        Operation::Explain(request.query)
    } else {
        Operation::Rerank(request.query)
    };
    let common = request.common;
    let mut computation = common.computation(&app, operation, Arc::clone(&texts))?;
    computation.refuse_truncation = !request.truncate.unwrap_or(app.settings.auto_truncate);
    computation.truncation_side = side;
    let computed = common.run(&app, &headers, computation).await?;
    let mut scratch = TokenizerScratch::default();
    let tokenizer = &computed.model.tokenizer;
    let ranks: Vec<Rank> = computed
        .ranking()
        .iter()
        .map(|ranked| {
            let hit = &ranked.hit;
            let text = texts[hit.index].as_str();
            let cut = || truncated(tokenizer, text, hit, side, &mut scratch);
            Rank {
                index: hit.index,
                score: if request.raw_scores {
                    hit.logit
                } else {
                    hit.score
                },
                text: request.return_text.then_some(text),
                cut: request.return_cut.then(cut),
                explanation: ranked.spans.map(|spans| pieces(text, spans)),
            }
        })
        .collect();
    Ok(describe(&computed, Json(ranks).into_response()))
}

fn pieces<'a>(text: &'a str, spans: &[Span]) -> Vec<Piece<'a>> {
    let piece = |span: &Span| Piece {
        text: &text[span.range.clone()],
        effect: span.effect,
    };
    spans.iter().map(piece).collect()
}

fn truncated(
    tokenizer: &Tokenizer,
    text: &str,
    hit: &Hit,
    side: TruncationSide,
    scratch: &mut TokenizerScratch,
) -> Truncated {
    let lost = hit.truncation.passage_tokens;
    let mut ids = Vec::new();
    if lost > 0 {
        tokenizer.tokenize_into(text, usize::MAX, scratch, &mut ids);
    }
    let lost_ids = match side {
        TruncationSide::Left => &ids[..lost],
        TruncationSide::Right => &ids[ids.len() - lost..],
    };
    let spelled = |&id: &u32| tokenizer.token(id).unwrap_or_default().to_owned();
    Truncated {
        query_tokens: hit.truncation.query_tokens,
        passage_tokens: lost,
        tokens: lost_ids.iter().take(LISTED_TOKENS).map(spelled).collect(),
    }
}
