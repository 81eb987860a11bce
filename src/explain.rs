//! Which parts of a passage its score came from.

use std::ops::Range;

use lanerank_kernels::math;

use crate::Error;
use crate::model::Head;
use crate::ranker::{Ranker, RerankOptions, log_odds};
use crate::tokenizer::{Tokenizer, TokenizerScratch, Truncation, is_space, stands_alone};

/// The answer to [`Ranker::explain`].
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// As in [`Hit`](crate::Hit), bit for bit.
    pub score: f32,
    /// As in [`Hit`](crate::Hit), bit for bit.
    pub logit: f32,
    /// What the model did not get to see.
    pub truncation: Truncation,
    /// The passage in pieces: words, punctuation marks, and what lies between them.
    pub spans: Vec<Span>,
}

/// A piece of the passage. All of them side by side are the passage.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its bytes in the passage.
    pub range: Range<usize>,
    /// How much it adds to the logit: the logit, less what it would be if in the last layer the first
    /// token, from which the score is made, could not attend to this span's tokens. `None` for spaces, and where
    /// truncation left none of the tokens.
    pub effect: Option<f32>,
}

impl Ranker {
    /// Says how much each word of a passage adds to its score.
    ///
    /// In the last layer the first token gathers, by attention, the values of all tokens, and from its row alone
    /// the score is computed. Each [`Span::effect`] is that step and all after it computed anew without one word's
    /// tokens, so for this layer it is exact, not an estimate from gradients or attention weights. Two
    /// things follow. The other tokens keep what they took from the word in earlier layers, so this
    /// is not the effect of deleting the word from the passage. And effects do not add up to the logit, because
    /// what follows is not linear.
    ///
    /// Takes about twice the time of scoring the passage on a model of two layers, less on deeper ones.
    ///
    #[cfg_attr(feature = "embedded-model", doc = "```")]
    #[cfg_attr(not(feature = "embedded-model"), doc = "```no_run")]
    /// use lanerank::{Ranker, RerankOptions};
    /// let passage = "A paper bag keeps bread fresh.";
    /// let explained = Ranker::new()?.explain("how to keep bread", passage, &RerankOptions::default())?;
    /// for span in explained.spans {
    ///     println!("{:>8.3?}  {}", span.effect, &passage[span.range]);
    /// }
    /// # Ok::<(), lanerank::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] for a sentence encoder, whose scores do not come from one token;
    /// [`Error::NotANumber`] where the model's arithmetic ends in NaN.
    pub fn explain(
        &self,
        query: &str,
        passage: &str,
        options: &RerankOptions<'_>,
    ) -> Result<Explanation, Error> {
        let engine = &*self.0;
        let (model, tokenizer, kernels) = (&engine.model, &engine.tokenizer, engine.kernels);
        let Head::Classifier { num_labels } = model.config().head else {
            let reason = "only a cross-encoder's scores can be explained".into();
            return Err(Error::Argument(reason));
        };
        let cut = options.cut();
        let (logits, truncation, spans) = engine.with_query(|pair| {
            engine.with_scratch(|scratch| {
                let max_length = engine.max_length;
                pair.set(model, tokenizer, kernels, query, max_length, cut, scratch);
                scratch.batch.clear();
                let truncation = pair.push(tokenizer, passage, scratch);
                let (pieces, count) = pieces(tokenizer, passage, &mut scratch.tokenizer);
                let kept = cut.kept(count, truncation.passage_tokens);
                // Behind the passage there is a [SEP].
                let first = scratch.batch.full_rows() - 1 - kept.len();
                let spans = spans(&pieces, &kept, passage.len());
                let rows = |span: &Seen| first + span.tokens.start..first + span.tokens.end;
                let seen = spans.iter().filter(|span| !span.tokens.is_empty());
                let gaps: Vec<Range<usize>> = seen.map(rows).collect();
                let bert = model.bert();
                let logits = bert.run_without(kernels, &pair.prefix, scratch, &gaps);
                (logits, truncation, spans)
            })
        });
        let mut logits = logits.chunks_exact(num_labels).map(log_odds);
        let logit = logits.next().unwrap_or(f32::NAN);
        let mut explanation = Explanation {
            score: math::sigmoid(logit),
            logit,
            truncation,
            spans: Vec::with_capacity(spans.len()),
        };
        for span in spans {
            let effect = match span.tokens.is_empty() {
                true => None,
                false => Some(logit - logits.next().unwrap_or(f32::NAN)),
            };
            explanation.spans.push(Span {
                range: span.range,
                effect,
            });
        }
        let effects = explanation.spans.iter().filter_map(|span| span.effect);
        match logit.is_nan() || effects.into_iter().any(f32::is_nan) {
            true => Err(Error::NotANumber { index: 0 }),
            false => Ok(explanation),
        }
    }
}

/// A piece of text, and how many tokens it has.
type Piece = (Range<usize>, usize);

/// A span, and which of the tokens that the model sees are its own.
struct Seen {
    range: Range<usize>,
    tokens: Range<usize>,
}

/// The text in pieces that the tokenizer reads one by one as it reads the whole, and the number of all
/// tokens. Where it does not, because an added token spans several, larger pieces.
fn pieces(
    tokenizer: &Tokenizer,
    text: &str,
    scratch: &mut TokenizerScratch,
) -> (Vec<Piece>, usize) {
    let mut whole = Vec::new();
    let count = tokenizer.tokenize_into(text, usize::MAX, scratch, &mut whole);
    for alone in [stands_alone as fn(char) -> bool, |_| false] {
        let mut ids = Vec::with_capacity(count);
        let mut read = |range: Range<usize>| {
            let word = &text[range.clone()];
            let tokens = tokenizer.tokenize_into(word, usize::MAX, scratch, &mut ids);
            (range, tokens)
        };
        let pieces: Vec<Piece> = words(text, alone).into_iter().map(&mut read).collect();
        if ids == whole {
            return (pieces, count);
        }
    }
    (vec![(0..text.len(), count)], count)
}

/// What lies between spaces, and each character of it that `alone` is.
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

/// The pieces that have tokens among the `kept`, and as one piece each what lies between those; `len` bytes in all.
fn spans(pieces: &[Piece], kept: &Range<usize>, len: usize) -> Vec<Seen> {
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
                tokens: start - kept.start..end - kept.start,
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
            let spans = spans(&pieces, &kept, 16).into_iter();
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
