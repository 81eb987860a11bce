//! The share of each word in a passage's score.

use std::ops::Range;
use std::time::Instant;

use lanerank_kernels::math;

use crate::config::Head;
use crate::engine::Engine;
use crate::error::Error;
use crate::layers::attention::Prefix;
use crate::layers::head::log_odds;
use crate::ranker::{Query, Ranker, ReadQuery, RerankOptions};
use crate::scorer::{PairQuery, Scorer};
use crate::scratch::Scratch;
use crate::tokenizer::{Token, Tokenizer, TokenizerScratch, Truncation, is_space, stands_alone};

/// The answer to [`Ranker::explain`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// As in [`Hit`](crate::Hit), bit for bit.
    pub score: f32,
    /// As in [`Hit`](crate::Hit), bit for bit.
    pub logit: f32,
    /// Tokens cut because the pair was too long.
    pub truncation: Truncation,
    /// The passage in pieces: words, punctuation marks, and the gaps between them.
    pub spans: Vec<Span>,
    /// Words without an effect because of the deadline.
    pub unexplained: usize,
}

/// A piece of the passage. All pieces in a row are the passage.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// Its bytes in the passage.
    pub range: Range<usize>,
    /// Its share of the logit: the logit, less the logit if no token could attend to this span in
    /// any layer. `None` for spaces and for spans that truncation cut.
    pub effect: Option<f32>,
}

impl Ranker {
    /// Computes how much each word of a passage adds to its score.
    ///
    /// Scores the passage once more for every word, with that word's tokens masked in every layer.
    /// All other tokens keep their positions. So an effect is the model's own use of the word, not
    /// an estimate from gradients or attention weights. Effects do not add up to the logit, because
    /// the model is not linear: if two words say the same, neither may be needed.
    ///
    /// The cost is that of scoring the passage once per word.
    ///
    /// The last layer's attention alone would need a single pass, but the earlier layers decide
    /// what makes a passage relevant. With the default model, the word "bread" adds 2.45 to the
    /// logit of a passage on keeping bread fresh. Masking it in the last layer only *raises* the
    /// logit, by 0.17.
    ///
    #[cfg_attr(feature = "embedded-model", doc = "```")]
    #[cfg_attr(not(feature = "embedded-model"), doc = "```no_run")]
    /// use lanerank::{Ranker, RerankOptions}; let passage = "A paper bag keeps bread fresh."; let
    /// explained = Ranker::new()?.explain("how to keep bread", passage,
    /// &RerankOptions::default())?; for span in explained.spans {
    ///     println!("{:>8.3?}  {}", span.effect, &passage[span.range]);
    /// }
    /// # Ok::<(), lanerank::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] for a sentence encoder, which does not read query and passage together;
    /// [`Error::NotANumber`] if the model's arithmetic ends in NaN.
    pub fn explain(
        &self,
        query: &str,
        passage: &str,
        options: &RerankOptions<'_>,
    ) -> Result<Explanation, Error> {
        if let Head::Encoder { .. } = self.model().config().head {
            return Err(no_explanation());
        }
        let engine = &self.0.engine;
        self.with_request(|request| {
            let pair = &mut request.query;
            engine.with_scratch(|s| engine.scorer.set_query(pair, query, options.policy(), s));
            self.explain_pair(pair, passage, options)
        })
    }

    /// As [`Ranker::explain`], for a query that was read with the same truncation options.
    ///
    /// # Errors
    /// As [`Ranker::explain`].
    pub fn explain_query(
        &self,
        query: &Query,
        passage: &str,
        options: &RerankOptions<'_>,
    ) -> Result<Explanation, Error> {
        match &query.read {
            ReadQuery::Pair(pair) => self.explain_pair(pair, passage, options),
            ReadQuery::Vector(_) => Err(no_explanation()),
        }
    }

    fn explain_pair(
        &self,
        pair: &PairQuery,
        passage: &str,
        options: &RerankOptions<'_>,
    ) -> Result<Explanation, Error> {
        let engine = &self.0.engine;
        let scorer = &engine.scorer;
        let read = engine.with_scratch(|scratch| Read::new(scorer, pair, passage, scratch));
        let others = logits_without(engine, &pair.prefix, &read, options.deadline)?;
        explanation(read, others)
    }
}

fn no_explanation() -> Error {
    Error::Argument("only a cross-encoder's scores can be explained".into())
}

/// A pair as the model read it.
struct Read {
    logit: f32,
    truncation: Truncation,
    /// The whole sequence, special tokens included.
    tokens: Vec<Token>,
    spans: Vec<Seen>,
}

/// A span, and its own range of `Read::tokens`.
struct Seen {
    range: Range<usize>,
    tokens: Range<usize>,
}

impl Read {
    fn new(scorer: &Scorer<'_>, pair: &PairQuery, passage: &str, scratch: &mut Scratch) -> Read {
        scratch.batch.clear();
        let truncation = scorer.push_pair(pair, passage, scratch);
        scorer.run(&pair.prefix, scratch);
        let shared = scratch.batch.full_rows() - scratch.batch.tokens().len();
        let mut tokens = pair.prefix.tokens[..shared].to_vec();
        tokens.extend_from_slice(scratch.batch.tokens());
        let (pieces, count) = pieces(&scorer.tokenizer, passage, &mut scratch.tokenizer);
        let kept = pair
            .policy
            .kept_range(count, count - truncation.passage_tokens);
        let first = scorer.frame().passage_start(tokens.len(), kept.len());
        Read {
            logit: log_odds(&scratch.out),
            truncation,
            spans: spans(&pieces, &kept, first, passage.len()),
            tokens,
        }
    }
}

/// The logits of the pair without each of the spans that have tokens. `None` after the deadline.
fn logits_without(
    engine: &Engine,
    prefix: &Prefix,
    read: &Read,
    deadline: Option<Instant>,
) -> Result<Vec<Option<f32>>, Error> {
    let words = read.spans.iter().filter(|span| !span.tokens.is_empty());
    let gaps: Vec<&Range<usize>> = words.map(|span| &span.tokens).collect();
    let mut logits = Vec::new();
    engine.run(
        &gaps,
        engine.pace(deadline, || gaps.len() * read.tokens.len()),
        prefix,
        &mut logits,
        |gap, scratch| {
            let tokens = without(&read.tokens, gap);
            scratch.batch.push(&prefix.tokens, tokens);
            read.truncation
        },
        |_, out| log_odds(out),
    )?;
    Ok(logits)
}

fn explanation(read: Read, others: Vec<Option<f32>>) -> Result<Explanation, Error> {
    let logit = read.logit;
    if logit.is_nan() || others.iter().flatten().any(|other| other.is_nan()) {
        return Err(Error::NotANumber { index: 0 });
    }
    let unexplained = others.iter().filter(|other| other.is_none()).count();
    let mut effects = others.into_iter().map(|other| Some(logit - other?));
    let span = |seen: Seen| Span {
        range: seen.range,
        effect: if seen.tokens.is_empty() {
            None
        } else {
            effects.next().flatten()
        },
    };
    Ok(Explanation {
        score: math::sigmoid(logit),
        logit,
        truncation: read.truncation,
        spans: read.spans.into_iter().map(span).collect(),
        unexplained,
    })
}

/// The tokens without a gap.
fn without<'a>(
    tokens: &'a [Token],
    gap: &Range<usize>,
) -> impl ExactSizeIterator<Item = Token> + Clone + use<'a> {
    let (start, len) = (gap.start, gap.len());
    (0..tokens.len() - len).map(move |i| tokens[if i < start { i } else { i + len }])
}

/// A piece of text, and its number of tokens.
type Piece = (Range<usize>, usize);

/// The text in pieces whose tokens, one piece after the other, are those of the whole text, and the
/// number of all tokens. If an added token spans several pieces, the pieces are larger.
fn pieces(
    tokenizer: &Tokenizer,
    text: &str,
    scratch: &mut TokenizerScratch,
) -> (Vec<Piece>, usize) {
    let mut whole = Vec::new();
    let count = tokenizer.tokenize_into(text, usize::MAX, scratch, &mut whole);
    for alone in [stands_alone as fn(char) -> bool, |_| false] {
        if let Some(pieces) = read_singly(tokenizer, text, words(text, alone), &whole, scratch) {
            return (pieces, count);
        }
    }
    (vec![(0..text.len(), count)], count)
}

/// The words with their numbers of tokens; `None` unless their tokens in a row are those of the
/// whole text.
fn read_singly(
    tokenizer: &Tokenizer,
    text: &str,
    words: Vec<Range<usize>>,
    whole: &[u32],
    scratch: &mut TokenizerScratch,
) -> Option<Vec<Piece>> {
    let (mut ids, mut rest) = (Vec::new(), whole);
    let mut pieces = Vec::with_capacity(words.len());
    for range in words {
        ids.clear();
        let count = tokenizer.tokenize_into(&text[range.clone()], usize::MAX, scratch, &mut ids);
        rest = rest.strip_prefix(ids.as_slice())?;
        pieces.push((range, count));
    }
    rest.is_empty().then_some(pieces)
}

/// Words between spaces, and single characters for which `alone` holds.
fn words(text: &str, alone: fn(char) -> bool) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if !is_space(c) && !alone(c) {
            continue;
        }
        if start < at {
            words.push(start..at);
        }
        start = at + c.len_utf8();
        if alone(c) {
            words.push(at..start);
        }
    }
    if start < text.len() {
        words.push(start..text.len());
    }
    words
}

/// The pieces with tokens among the `kept`, and one piece for each gap between them; `len` bytes in
/// all. `first` is the index of the first kept token in the sequence.
fn spans(pieces: &[Piece], kept: &Range<usize>, first: usize, len: usize) -> Vec<Seen> {
    let mut spans = Vec::with_capacity(2 * pieces.len() + 1);
    let between = |spans: &mut Vec<Seen>, range: Range<usize>| {
        if !range.is_empty() {
            let tokens = 0..0;
            spans.push(Seen { range, tokens });
        }
    };
    let (mut token, mut done) = (0, 0);
    for (range, count) in pieces {
        let (start, end) = (token.max(kept.start), (token + count).min(kept.end));
        token += count;
        if start < end {
            between(&mut spans, done..range.start);
            done = range.end;
            spans.push(Seen {
                range: range.clone(),
                tokens: start - kept.start + first..end - kept.start + first,
            });
        }
    }
    between(&mut spans, done..len);
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_cover_all_that_is_no_space() {
        let text = " na\u{ef}ve, (A)\t\u{4e00}\u{4e01}b\u{3000}\u{1f600}";
        let of = |alone| {
            let word = |range: Range<usize>| &text[range];
            words(text, alone).into_iter().map(word).collect::<Vec<_>>()
        };
        let all = [
            "na\u{ef}ve",
            ",",
            "(",
            "A",
            ")",
            "\u{4e00}",
            "\u{4e01}",
            "b",
            "\u{1f600}",
        ];
        assert_eq!(of(stands_alone), all);
        let spaced = ["na\u{ef}ve,", "(A)", "\u{4e00}\u{4e01}b", "\u{1f600}"];
        assert_eq!(of(|_| false), spaced);
        assert!(words("", stands_alone).is_empty());
    }

    #[test]
    fn what_was_cut_has_no_tokens() {
        let pieces = [(0..3, 1), (4..6, 0), (7..9, 3), (10..12, 1), (13..15, 2)];
        let of = |kept| {
            let spans = spans(&pieces, &kept, 0, 16).into_iter();
            spans
                .map(|span| (span.range, span.tokens))
                .collect::<Vec<_>>()
        };
        let all = [(0..3, 0..1), (3..7, 0..0), (7..9, 1..4), (9..16, 0..0)];
        assert_eq!(of(0..4), all);
        assert_eq!(of(0..2)[2..], [(7..9, 1..2), (9..16, 0..0)]);
        assert_eq!(
            of(4..7),
            [
                (0..10, 0..0),
                (10..12, 0..1),
                (12..13, 0..0),
                (13..15, 1..3),
                (15..16, 0..0)
            ]
        );
        assert_eq!(of(0..0), [(0..16, 0..0)]);
    }
}
