//! The kinds of tokenizers: from a text between added tokens to ids.

use super::config::Record;
use super::normalize::{self, Steps};
use super::pretokenize::{ByteTable, Rules, Splitter};
use super::rules::TokenizerKind;
use super::scratch::TokenizerScratch;
use super::unigram::{Unigram, UnigramSections, WordReader};
use super::vocab::VocabView;
use super::wordpiece::{HEAD, Ids, WordPiece};
use crate::error::TokenizerError;

/// What a tokenizer has besides its record and its pieces.
#[derive(Debug)]
pub(super) enum Kind {
    WordPiece {
        steps: Steps,
        /// Ends with the continuing prefix.
        head: [u8; HEAD],
        table: ByteTable,
    },
    Unigram(Unigram),
}

impl Kind {
    /// The kind that the record names; a Unigram has sections of its own.
    pub(super) fn open(
        record: &Record,
        sections: Option<UnigramSections>,
    ) -> Result<Self, TokenizerError> {
        match (record.kind, sections) {
            (TokenizerKind::WordPiece, None) => {
                let mut head = [0; HEAD];
                head[HEAD - record.prefix.len()..].copy_from_slice(record.prefix.as_bytes());
                Ok(Kind::WordPiece {
                    steps: record.steps,
                    head,
                    table: ByteTable::new(record.steps),
                })
            }
            (TokenizerKind::Unigram(rules), Some(sections)) => {
                let pieces = record.pieces as usize;
                Ok(Kind::Unigram(Unigram::open(rules, pieces, sections)?))
            }
            (kind, _) => Err(TokenizerError::Section {
                section: "tokenizer.scores",
                reason: match kind {
                    TokenizerKind::WordPiece => "WordPiece has none".into(),
                    TokenizerKind::Unigram(_) => "missing, and the tokenizer is a Unigram".into(),
                },
            }),
        }
    }

    /// A Unigram's sections.
    pub(super) fn sections(&self) -> Option<UnigramSections> {
        match self {
            Kind::WordPiece { .. } => None,
            Kind::Unigram(unigram) => Some(unigram.sections()),
        }
    }

    /// Reads what opening does not.
    ///
    /// # Errors
    /// Names what is wrong.
    pub(super) fn check(&self, vocab: VocabView<'_>) -> Result<(), TokenizerError> {
        match self {
            Kind::WordPiece { .. } => Ok(()),
            Kind::Unigram(unigram) => unigram.check(vocab),
        }
    }

    /// The normalised text.
    pub(super) fn normalized(&self, text: &str) -> String {
        match self {
            Kind::WordPiece { steps, .. } => normalize::normalized(text, *steps),
            Kind::Unigram(unigram) => {
                let mut normalized = String::new();
                unigram.normalize(text, &mut normalized);
                normalized
            }
        }
    }

    /// Starts a pass over a text. `vocabulary` is the number of the vocabulary.
    pub(super) fn reader<'a>(
        &'a self,
        record: &'a Record,
        vocab: VocabView<'a>,
        vocabulary: u64,
        scratch: &'a mut TokenizerScratch,
    ) -> Reader<'a> {
        match self {
            Kind::WordPiece { steps, head, table } => {
                let rules = Rules {
                    steps: *steps,
                    table,
                    max_chars: record.max_word_chars as usize,
                    wordpiece: WordPiece {
                        vocab,
                        prefix: record.prefix.len(),
                        head: *head,
                        unk: record.unk,
                    },
                    vocabulary,
                };
                Reader::WordPiece(Splitter::new(rules, scratch))
            }
            Kind::Unigram(unigram) => {
                let reader = WordReader::new(unigram, vocab, record.unk, vocabulary, scratch);
                Reader::Unigram(reader)
            }
        }
    }
}

/// A pass over a text.
pub(super) enum Reader<'a> {
    WordPiece(Splitter<'a>),
    Unigram(WordReader<'a>),
}

impl Reader<'_> {
    /// Appends the ids of a part of the text.
    pub(super) fn text(&mut self, text: &str, ids: &mut Ids) {
        match self {
            Reader::WordPiece(splitter) => splitter.text(text, ids),
            Reader::Unigram(reader) => reader.text(text, ids),
        }
    }

    /// Appends the ids of a part that is normalised.
    pub(super) fn normalized(&mut self, text: &str, ids: &mut Ids) {
        match self {
            // To normalise once more changes nothing that counts.
            Reader::WordPiece(splitter) => splitter.text(text, ids),
            Reader::Unigram(reader) => reader.words(text, ids),
        }
    }
}
