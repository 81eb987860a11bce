//! `/rerank`, as in Hugging Face's text-embeddings-inference.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use lanerank::tokenizer::TokenizerScratch;
use lanerank::{Span, Tokenizer, TruncationSide};
use serde::{Deserialize, Serialize};

use super::App;
use super::body;
use super::compute::{Computation, Extras, Ranked};
use super::error::{ApiError, Kind};
use crate::schedule::Work;

/// Most cut tokens that are shown of a text.
const SHOWN_TOKENS: usize = 1000;

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
    /// Not TEI's: say what the model did not see.
    #[serde(default)]
    return_cut: bool,
    /// Not TEI's: say which words the scores come from.
    #[serde(default)]
    explain: bool,
    #[serde(flatten)]
    extras: Extras,
}

#[derive(Serialize)]
struct Rank<'a> {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<Piece<'a>>>,
}

/// A piece of a text; all together are the text.
#[derive(Serialize)]
struct Piece<'a> {
    text: &'a str,
    /// By how much the logit is larger than without it; none for spaces and what was cut.
    effect: Option<f32>,
}

#[derive(Serialize)]
struct Cut {
    query_tokens: usize,
    passage_tokens: usize,
    /// The passage's, as the vocabulary spells them; the first where there are very many.
    tokens: Vec<String>,
}

pub async fn rerank(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let request: Request = body::read(&app, &headers, body).await?;
    if request.texts.is_empty() {
        return Err(ApiError::new(Kind::Empty, "`texts` cannot be empty"));
    }
    let texts = Arc::new(request.texts);
    let side = match request.truncation_direction {
        Direction::Left => TruncationSide::Left,
        Direction::Right => TruncationSide::Right,
    };
    let computation = Computation {
        extras: request.extras,
        work: match request.explain {
            true => Work::Explain(request.query),
            false => Work::Rerank(request.query),
        },
        texts: Arc::clone(&texts),
        refuse_truncation: !request.truncate.unwrap_or(app.settings.auto_truncate),
        truncation_side: side,
        max_text_tokens: None,
    };
    let computed = computation.run(&app, &headers).await?;
    let mut scratch = TokenizerScratch::default();
    let tokenizer = &computed.model.tokenizer;
    let ranks: Vec<Rank> = computed
        .ranking()
        .iter()
        .map(|ranked| Rank {
            index: ranked.index,
            score: match request.raw_scores {
                true => ranked.logit,
                false => ranked.score,
            },
            text: request.return_text.then(|| texts[ranked.index].as_str()),
            cut: request
                .return_cut
                .then(|| cut(tokenizer, &texts[ranked.index], ranked, side, &mut scratch)),
            explanation: ranked
                .spans
                .map(|spans| pieces(&texts[ranked.index], spans)),
        })
        .collect();
    Ok(computed.describe(Json(ranks).into_response()))
}

fn pieces<'a>(text: &'a str, spans: &[Span]) -> Vec<Piece<'a>> {
    let piece = |span: &Span| Piece {
        text: &text[span.range.clone()],
        effect: span.effect,
    };
    spans.iter().map(piece).collect()
}

fn cut(
    tokenizer: &Tokenizer,
    text: &str,
    ranked: &Ranked<'_>,
    side: TruncationSide,
    scratch: &mut TokenizerScratch,
) -> Cut {
    let lost = ranked.truncation.passage_tokens;
    let mut ids = Vec::new();
    if lost > 0 {
        tokenizer.tokenize_into(text, usize::MAX, scratch, &mut ids);
    }
    let lost_ids = match side {
        TruncationSide::Left => &ids[..lost],
        TruncationSide::Right => &ids[ids.len() - lost..],
    };
    let spelled = |&id: &u32| tokenizer.token(id).unwrap_or_default().to_owned();
    Cut {
        query_tokens: ranked.truncation.query_tokens,
        passage_tokens: lost,
        tokens: lost_ids.iter().take(SHOWN_TOKENS).map(spelled).collect(),
    }
}
