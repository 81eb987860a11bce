//! What can be wrong with a tokenizer.

use std::fmt;

/// Why a vocabulary or its rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The vocabulary file is not UTF-8.
    NotUtf8 {
        /// The first such line, counted from 1.
        line: usize,
    },
    /// The vocabulary is empty or has more than 1,048,575 pieces.
    VocabularySize(usize),
    /// A piece is longer than 255 bytes.
    PieceTooLong {
        /// The piece.
        id: u32,
        /// Its length.
        bytes: usize,
    },
    /// A special or added token without an id is not in the vocabulary.
    MissingToken(String),
    /// An added token cannot be used.
    AddedToken {
        /// Its text.
        content: String,
        /// Why not.
        reason: &'static str,
    },
    /// There are more than 4096 added tokens.
    TooManyAddedTokens(usize),
    /// The prefix of continuing pieces is longer than 15 bytes.
    PrefixTooLong(String),
    /// `max_input_chars_per_word` is above 4096.
    WordLimit(u32),
    /// No seed made a perfect hash of this vocabulary, which takes pieces made for the purpose.
    NoPerfectHash,
    /// A section of the model file is not as its format says.
    Section {
        /// The section.
        section: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenizerError::NotUtf8 { line } => write!(f, "vocabulary line {line} is not UTF-8"),
            TokenizerError::VocabularySize(n) => {
                write!(f, "{n} pieces: there have to be 1 to 1048575")
            }
            TokenizerError::PieceTooLong { id, bytes } => {
                write!(f, "piece {id} has {bytes} bytes, more than 255")
            }
            TokenizerError::MissingToken(token) => {
                write!(f, "token {token:?} is not in the vocabulary")
            }
            TokenizerError::AddedToken { content, reason } => {
                write!(f, "added token {content:?}: {reason}")
            }
            TokenizerError::TooManyAddedTokens(n) => {
                write!(f, "{n} added tokens, more than 4096")
            }
            TokenizerError::PrefixTooLong(prefix) => {
                write!(f, "continuing prefix {prefix:?} is longer than 15 bytes")
            }
            TokenizerError::WordLimit(n) => {
                write!(f, "max_input_chars_per_word is {n}, above 4096")
            }
            TokenizerError::NoPerfectHash => {
                write!(f, "no perfect hash could be made of this vocabulary")
            }
            TokenizerError::Section { section, reason } => write!(f, "{section}: {reason}"),
        }
    }
}

impl std::error::Error for TokenizerError {}
