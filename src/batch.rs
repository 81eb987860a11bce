//! A ragged batch: the tokens of several sequences back to back, without padding.

use std::ops::Range;

use crate::tokenizer::Token;

/// Where one sequence's rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// Number of leading tokens that the request's prefix has and the batch does not repeat.
    pub(crate) prefix: usize,
    /// The rows of its own tokens, among the batch's own tokens.
    pub(crate) own: Range<usize>,
    /// Its rows after the prefix rows are put before each sequence's own.
    pub(crate) full: Range<usize>,
}

/// Sequences whose tokens are computed together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    tokens: Vec<Token>,
    sequences: Vec<Sequence>,
    full_rows: usize,
}

impl Batch {
    /// Removes all sequences but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
        self.sequences.clear();
        self.full_rows = 0;
    }

    /// Adds a sequence without the tokens that it has in common with the start of `prefix`.
    pub(crate) fn push(
        &mut self,
        prefix: &[Token],
        tokens: impl ExactSizeIterator<Item = Token> + Clone,
    ) {
        let len = tokens.len();
        let shared = tokens
            .clone()
            .zip(prefix)
            .take_while(|(a, b)| a == *b)
            .count();
        let start = self.tokens.len();
        self.tokens.extend(tokens.skip(shared));
        self.sequences.push(Sequence {
            prefix: shared,
            own: start..self.tokens.len(),
            full: self.full_rows..self.full_rows + len,
        });
        self.full_rows += len;
    }

    /// The tokens to compute.
    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The sequences, in the order they were added.
    pub(crate) fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// Rows of all sequences, shared tokens counted in each.
    pub(crate) fn full_rows(&self) -> usize {
        self.full_rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: &[u32]) -> Vec<Token> {
        let token = |(i, &id): (usize, &u32)| Token {
            id,
            position: i as u32,
            type_id: 0,
        };
        ids.iter().enumerate().map(token).collect()
    }

    #[test]
    fn shares_the_longest_common_beginning() {
        let prefix = tokens(&[1, 2, 3]);
        let mut batch = Batch::default();
        batch.push(&prefix, tokens(&[1, 2, 3, 4, 5]).into_iter());
        batch.push(&prefix, tokens(&[1, 2, 9]).into_iter());
        batch.push(&prefix, tokens(&[1, 2, 3]).into_iter());
        batch.push(&[], tokens(&[1]).into_iter());
        let of = |prefix, own, full| Sequence { prefix, own, full };
        let expected = [
            of(3, 0..2, 0..5),
            of(2, 2..3, 5..8),
            of(3, 3..3, 8..11),
            of(0, 3..4, 11..12),
        ];
        assert_eq!(batch.sequences(), expected);
        assert_eq!(batch.tokens().len(), 4);
        assert_eq!(batch.full_rows(), 12);
    }
}
