//! The frame around texts: special tokens, positions, token types, and truncation to fit.
//!
//! BERT reads `[CLS] text [SEP]` and `[CLS] query [SEP] passage [SEP]`. [`FrameRules`] says what
//! other tokenizers change, [`Positions`] what other models do. Everything that counts, cuts or
//! lays out tokens asks a [`Frame`].

use std::ops::Range;

/// One token as the embeddings need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// Row of the word embeddings.
    pub(crate) id: u32,
    /// Row of the position embeddings.
    pub(crate) position: u32,
    /// Row of the segment embeddings.
    pub(crate) type_id: u8,
}

/// How many tokens truncation cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truncation {
    /// From the query, or from a single text.
    pub query_tokens: usize,
    /// From the passage.
    pub passage_tokens: usize,
}

impl Truncation {
    /// Whether anything was cut.
    pub fn any(self) -> bool {
        self.query_tokens > 0 || self.passage_tokens > 0
    }
}

/// The end of a long text that truncation cuts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TruncationSide {
    /// Its end.
    #[default]
    Right,
    /// Its beginning.
    Left,
}

/// Model input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// For each id, 0 for the query and 1 for the passage.
    pub type_ids: Vec<u8>,
    /// What did not fit.
    pub truncation: Truncation,
}

/// How long texts are cut.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TruncationPolicy {
    /// The end that is cut.
    pub(crate) side: TruncationSide,
    /// Most tokens of a passage, even if there is room for more.
    pub(crate) max_passage: Option<usize>,
}

impl TruncationPolicy {
    /// Ids to store so that any `budget` of them can be kept.
    pub(crate) fn stored(self, budget: usize) -> usize {
        match self.side {
            TruncationSide::Right => budget,
            TruncationSide::Left => usize::MAX,
        }
    }

    /// The `kept` ids that are not cut.
    pub(crate) fn keep(self, ids: &[u32], kept: usize) -> &[u32] {
        &ids[self.kept_range(ids.len(), kept)]
    }

    /// The indices of the `kept` tokens among `count`.
    pub(crate) fn kept_range(self, count: usize, kept: usize) -> Range<usize> {
        match self.side {
            TruncationSide::Right => 0..kept,
            TruncationSide::Left => count - kept..count,
        }
    }

    /// Tokens of a passage that may be kept if there is room.
    fn allowed(self, passage: usize) -> usize {
        self.max_passage.map_or(passage, |most| passage.min(most))
    }
}

/// What a tokenizer puts around texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameRules {
    /// Separators between the two texts of a pair.
    pub(crate) between: usize,
    /// Token type of the second text of a pair and of the separator after it.
    pub(crate) second_type: u8,
}

/// How a model numbers its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Positions {
    /// Position of the first token.
    pub(crate) first: u32,
    /// Padding tokens inside a text do not count: they have the position before the first.
    pub(crate) skip_padding: bool,
}

impl Positions {
    /// From 0.
    pub(crate) const BERT: Positions = Positions {
        first: 0,
        skip_padding: false,
    };

    /// From 2, the number after the padding token's.
    pub(crate) const ROBERTA: Positions = Positions {
        first: 2,
        skip_padding: true,
    };
}

impl FrameRules {
    /// `[CLS] a [SEP] b [SEP]`, types 0 and 1.
    pub(crate) const BERT: FrameRules = FrameRules {
        between: 1,
        second_type: 1,
    };

    /// `<s> a </s></s> b </s>`, one type.
    pub(crate) const ROBERTA: FrameRules = FrameRules {
        between: 2,
        second_type: 0,
    };
}

/// The class token before the first text.
const OPENING: usize = 1;
/// The separator after the last text.
const CLOSING: usize = 1;

/// The special tokens of a tokenizer, arranged by a model's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    class: u32,
    separator: u32,
    padding: u32,
    rules: FrameRules,
    positions: Positions,
}

impl Frame {
    /// `class`, `separator` and `padding` are the special tokens' ids.
    pub(crate) fn new(
        [class, separator, padding]: [u32; 3],
        rules: FrameRules,
        positions: Positions,
    ) -> Frame {
        Frame {
            class,
            separator,
            padding,
            rules,
            positions,
        }
    }

    /// Token types of a pair.
    pub(crate) fn types(self) -> usize {
        usize::from(self.rules.second_type) + 1
    }

    /// Special tokens around a single text.
    pub fn single_overhead(self) -> usize {
        OPENING + CLOSING
    }

    /// Special tokens around and between the texts of a pair.
    pub fn pair_overhead(self) -> usize {
        OPENING + self.rules.between + CLOSING
    }

    /// Longest sequence that a model with this many position embeddings can read.
    pub(crate) fn longest(self, position_embeddings: usize) -> usize {
        position_embeddings.saturating_sub(self.positions.first as usize)
    }

    /// Tokens before a pair's passage, given the query's kept tokens.
    pub(crate) fn before_passage(self, query: usize) -> usize {
        OPENING + query + self.rules.between
    }

    /// Index of the first of `kept` passage tokens in a sequence of `len`.
    pub(crate) fn passage_start(self, len: usize, kept: usize) -> usize {
        len - CLOSING - kept
    }

    /// Tokens left for a single text.
    pub(crate) fn single_budget(self, max_length: usize) -> usize {
        max_length.saturating_sub(self.single_overhead())
    }

    /// Tokens left for both texts of a pair.
    pub(crate) fn pair_budget(self, max_length: usize) -> usize {
        max_length.saturating_sub(self.pair_overhead())
    }

    /// Tokens kept of a single text with `count`.
    pub(crate) fn fit_single(
        self,
        count: usize,
        max_length: usize,
        policy: TruncationPolicy,
    ) -> usize {
        policy.allowed(count).min(self.single_budget(max_length))
    }

    /// Tokens kept of a query and a passage with these counts, longest first.
    pub(crate) fn fit_pair(
        self,
        query: usize,
        passage: usize,
        max_length: usize,
        policy: TruncationPolicy,
    ) -> (usize, usize) {
        let budget = self.pair_budget(max_length);
        truncate_pair(query, policy.allowed(passage), budget)
    }

    /// `[CLS] text [SEP]`.
    pub(crate) fn single<'a>(
        self,
        text: &'a [u32],
    ) -> impl ExactSizeIterator<Item = Token> + Clone + use<'a> {
        let mut position = self.positions.first;
        (0..text.len() + self.single_overhead()).map(move |i| {
            let text = i.checked_sub(OPENING).map(|at| text.get(at).copied());
            self.token(&mut position, text, false)
        })
    }

    /// `[CLS] query [SEP] passage [SEP]`.
    pub(crate) fn pair<'a>(
        self,
        query: &'a [u32],
        passage: &'a [u32],
    ) -> impl ExactSizeIterator<Item = Token> + Clone + use<'a> {
        let start = self.before_passage(query.len());
        let mut position = self.positions.first;
        (0..start + passage.len() + CLOSING).map(move |i| {
            let text = i.checked_sub(OPENING).map(|at| match i.checked_sub(start) {
                Some(at) => passage.get(at).copied(),
                None => query.get(at).copied(),
            });
            self.token(&mut position, text, i >= start)
        })
    }

    /// The tokens of a pair before its passage.
    pub(crate) fn pair_prefix<'a>(
        self,
        query: &'a [u32],
    ) -> impl ExactSizeIterator<Item = Token> + use<'a> {
        self.pair(query, &[]).take(self.before_passage(query.len()))
    }

    /// The next token: `text` is `None` for the class token and `Some(None)` for a separator.
    fn token(self, next: &mut u32, text: Option<Option<u32>>, second: bool) -> Token {
        let id = text.map_or(self.class, |id| id.unwrap_or(self.separator));
        let skipped = self.positions.skip_padding && id == self.padding;
        let position = if skipped {
            self.positions.first - 1
        } else {
            *next += 1;
            *next - 1
        };
        Token {
            id,
            position,
            type_id: if second { self.rules.second_type } else { 0 },
        }
    }
}

/// Tokens kept of two texts with `a` and `b` tokens, together at most `budget`, longest first.
///
/// The shorter text is kept whole if the longer one can give up enough. Otherwise both get half,
/// and an odd token goes to the longer one, to `b` if they are equal.
pub fn truncate_pair(a: usize, b: usize, budget: usize) -> (usize, usize) {
    if a.checked_add(b).is_some_and(|total| total <= budget) {
        return (a, b);
    }
    let (shorter, longer) = if a.min(b) <= budget / 2 {
        (a.min(b), budget - a.min(b))
    } else {
        (budget / 2, budget - budget / 2)
    };
    if a > b {
        (longer, shorter)
    } else {
        (shorter, longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASS: u32 = 101;
    const SEPARATOR: u32 = 102;
    const PADDING: u32 = 100;
    const SPECIAL: [u32; 3] = [CLASS, SEPARATOR, PADDING];

    fn listed(tokens: impl ExactSizeIterator<Item = Token>) -> Vec<(u32, u32, u8)> {
        let len = tokens.len();
        let listed: Vec<_> = tokens.map(|t| (t.id, t.position, t.type_id)).collect();
        assert_eq!(listed.len(), len);
        listed
    }

    #[test]
    fn bert_reads_three_special_tokens_around_a_pair() {
        let frame = Frame::new(SPECIAL, FrameRules::BERT, Positions::BERT);
        let pair = [
            (101, 0, 0),
            (7, 1, 0),
            (8, 2, 0),
            (102, 3, 0),
            (9, 4, 1),
            (102, 5, 1),
        ];
        assert_eq!(listed(frame.pair(&[7, 8], &[9])), pair);
        assert_eq!(listed(frame.pair_prefix(&[7, 8])), pair[..4]);
        assert_eq!(
            listed(frame.single(&[7])),
            [(101, 0, 0), (7, 1, 0), (102, 2, 0)]
        );
        let empty = [(101, 0, 0), (102, 1, 0), (102, 2, 1)];
        assert_eq!(listed(frame.pair(&[], &[])), empty);
        assert_eq!((frame.single_overhead(), frame.pair_overhead()), (2, 3));
        assert_eq!(frame.longest(512), 512);
        assert_eq!(frame.passage_start(6, 1), 4);
    }

    #[test]
    fn roberta_reads_four_and_begins_at_position_2() {
        let frame = Frame::new(SPECIAL, FrameRules::ROBERTA, Positions::ROBERTA);
        let pair = [
            (101, 2, 0),
            (7, 3, 0),
            (102, 4, 0),
            (102, 5, 0),
            (8, 6, 0),
            (9, 7, 0),
            (102, 8, 0),
        ];
        assert_eq!(listed(frame.pair(&[7], &[8, 9])), pair);
        assert_eq!(listed(frame.pair_prefix(&[7])), pair[..4]);
        assert_eq!(
            listed(frame.single(&[7])),
            [(101, 2, 0), (7, 3, 0), (102, 4, 0)]
        );
        let padded = [(101, 2, 0), (100, 1, 0), (7, 3, 0), (102, 4, 0)];
        assert_eq!(listed(frame.single(&[100, 7])), padded);
        let padded = [(102, 4, 0), (8, 5, 0), (100, 1, 0), (102, 6, 0)];
        assert_eq!(listed(frame.pair(&[], &[8, 100]).skip(2)), padded);
        assert_eq!((frame.single_overhead(), frame.pair_overhead()), (2, 4));
        assert_eq!(frame.longest(514), 512);
        assert_eq!(frame.passage_start(7, 2), 4);
        let policy = TruncationPolicy::default();
        assert_eq!(frame.fit_pair(3, 9, 12, policy), (3, 5));
        assert_eq!(frame.fit_single(20, 12, policy), 10);
    }

    #[test]
    fn policies_cap_passages_and_choose_the_side() {
        let frame = Frame::new(SPECIAL, FrameRules::BERT, Positions::BERT);
        let policy = TruncationPolicy {
            side: TruncationSide::Left,
            max_passage: Some(2),
        };
        assert_eq!(frame.fit_pair(3, 9, 40, policy), (3, 2));
        assert_eq!(frame.fit_single(9, 40, policy), 2);
        assert_eq!(policy.keep(&[1, 2, 3], 2), [2, 3]);
        assert_eq!(TruncationPolicy::default().keep(&[1, 2, 3], 2), [1, 2]);
        // Special tokens are never cut.
        assert_eq!(frame.fit_pair(3, 9, 1, policy), (0, 0));
        assert_eq!(frame.fit_single(9, 1, policy), 0);
    }

    /// The rule as Hugging Face's `tokenizers` states it, case by case.
    fn reference(a: usize, b: usize, max: usize) -> (usize, usize) {
        if a + b <= max {
            return (a, b);
        }
        let swap = a > b;
        let mut n1 = a.min(b);
        let mut n2 = if n1 > max { n1 } else { n1.max(max - n1) };
        if n1 + n2 > max {
            n1 = max / 2;
            n2 = n1 + max % 2;
        }
        if swap { (n2, n1) } else { (n1, n2) }
    }

    #[test]
    fn truncation_is_the_original_rule() {
        for a in 0..40 {
            for b in 0..40 {
                for budget in 0..90 {
                    assert_eq!(
                        truncate_pair(a, b, budget),
                        reference(a, b, budget),
                        "{a} {b} {budget}"
                    );
                }
            }
        }
        let half = usize::MAX / 2;
        assert_eq!(
            truncate_pair(usize::MAX, usize::MAX, usize::MAX),
            (half, half + 1)
        );
    }
}
