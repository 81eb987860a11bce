//! The shape of Hugging Face's text-embeddings-inference (TEI).

use std::cell::RefCell;
use std::sync::Arc;

use axum::Json;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use lanerank::tokenizer::TokenizerScratch;
use lanerank::{Hit, Span, Tokenizer, TruncationSide};
use lanerank_requests::{Direction, Flag, RerankFields, json};
use serde::{Serialize, Serializer};

use super::body;
use super::error::ApiError;
use super::submit::{self, CommonFields, describe};
use crate::app::App;
use crate::compute::{Computed, Operation};

/// Maximum number of truncated tokens listed per text.
const LISTED_TOKENS: usize = 1000;

/// A request in this shape.
#[derive(Debug)]
pub(super) struct Request {
    query: String,
    texts: Vec<String>,
    truncate: Option<bool>,
    explain: bool,
    answer: AnswerOptions,
    common: CommonFields,
}

/// The contents of the answer.
#[derive(Debug, Clone, Copy)]
struct AnswerOptions {
    raw_scores: bool,
    return_text: bool,
    return_cut: bool,
    side: TruncationSide,
}

impl Request {
    /// Reads the texts, at most `most`.
    pub(super) fn new(mut fields: RerankFields, most: usize) -> Result<Request, ApiError> {
        let query = json::required("query", fields.query.take())?;
        let documents = fields.documents(&["texts", "passages"], most)?;
        let texts = submit::texts(&documents)?;
        let set = |flag: Option<Flag>| flag == Some(Flag(true));
        Ok(Request {
            texts,
            truncate: fields.truncate.map(|Flag(yes)| yes),
            explain: set(fields.explain),
            answer: AnswerOptions {
                raw_scores: set(fields.raw_scores),
                return_text: set(fields.return_text),
                return_cut: set(fields.return_cut),
                side: match fields.truncation_direction.unwrap_or_default() {
                    Direction::Left => TruncationSide::Left,
                    Direction::Right => TruncationSide::Right,
                },
            },
            common: CommonFields::of(&mut fields),
            query,
        })
    }
}

#[derive(Serialize)]
struct Rank<'a> {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Cut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Pieces<'a>>,
}

/// A text and its spans, written as pieces that concatenate to the text.
struct Pieces<'a>(&'a str, &'a [Span]);

#[derive(Serialize)]
struct Piece<'a> {
    text: &'a str,
    /// The logit minus the logit without the piece; `None` for spaces and truncated text.
    effect: Option<f32>,
}

impl Serialize for Pieces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let piece = |span: &Span| Piece {
            text: &self.0[span.range.clone()],
            effect: span.effect,
        };
        serializer.collect_seq(self.1.iter().map(piece))
    }
}

/// What was truncated from a text. Its tokens are looked up when it is written, one text at a time.
struct Cut<'a> {
    model: &'a Computed,
    text: &'a str,
    hit: &'a Hit,
    side: TruncationSide,
    scratch: &'a RefCell<TokenizerScratch>,
}

#[derive(Serialize)]
struct Truncated<'a> {
    query_tokens: usize,
    passage_tokens: usize,
    /// The passage's truncated tokens as the vocabulary spells them, at most [`LISTED_TOKENS`].
    tokens: Spelled<'a>,
}

/// Ids, written as the vocabulary spells them.
struct Spelled<'a>(&'a Tokenizer, &'a [u32]);

impl Serialize for Spelled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let spell = |&id: &u32| self.0.token(id).unwrap_or_default();
        serializer.collect_seq(self.1.iter().map(spell))
    }
}

impl Serialize for Cut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let model = &self.model.model;
        let lost = self.hit.truncation.passage_tokens;
        let (mut ids, mut count) = (Vec::new(), lost);
        if lost > 0 {
            // The lost tokens begin the text, or follow the kept ones.
            let limit = model.ranker.max_length() + LISTED_TOKENS;
            let scratch = &mut *self.scratch.borrow_mut();
            count = model
                .tokenizer
                .tokenize_into(self.text, limit, scratch, &mut ids);
        }
        let first = match self.side {
            TruncationSide::Left => 0,
            TruncationSide::Right => count - lost,
        };
        let listed = ids.iter().skip(first).take(lost.min(LISTED_TOKENS));
        let listed: Vec<u32> = listed.copied().collect();
        Truncated {
            query_tokens: self.hit.truncation.query_tokens,
            passage_tokens: lost,
            tokens: Spelled(&model.tokenizer, &listed),
        }
        .serialize(serializer)
    }
}

/// Answers a request.
pub(super) async fn rerank(
    app: &App,
    headers: &HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let texts = Arc::new(request.texts);
    let options = request.answer;
    let operation = if request.explain {
        Operation::Explain(request.query)
    } else {
        Operation::Rerank(request.query)
    };
    let common = request.common;
    let mut computation = common.computation(app, operation, Arc::clone(&texts))?;
    computation.refuse_truncation = !request.truncate.unwrap_or(app.settings.auto_truncate);
    computation.truncation_side = options.side;
    let computed = common.run(app, headers, computation).await?;
    let long = options.return_cut || options.return_text || request.explain;
    let bytes = texts.iter().map(String::len).sum();
    let bytes = if long { bytes } else { 0 };
    body::run(app, bytes, move || answer(&computed, &texts, options)).await
}

fn answer(computed: &Computed, texts: &[String], options: AnswerOptions) -> Response {
    let scratch = RefCell::default();
    let ranking = computed.ranking();
    let ranks = ranking.iter().map(|ranked| {
        let hit = &ranked.hit;
        let text = texts[hit.index].as_str();
        Rank {
            index: hit.index,
            score: if options.raw_scores {
                hit.logit
            } else {
                hit.score
            },
            text: options.return_text.then_some(text),
            cut: options.return_cut.then_some(Cut {
                model: computed,
                text,
                hit,
                side: options.side,
                scratch: &scratch,
            }),
            explanation: ranked.spans.map(|spans| Pieces(text, spans)),
        }
    });
    let ranks: Vec<Rank> = ranks.collect();
    describe(computed, Json(ranks).into_response())
}
