//! The errors of the library.

use std::fmt;
use std::path::PathBuf;

/// What can go wrong. Every message names what was wrong and where.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A model file breaks the format.
    Format {
        /// The header field, directory entry or section that is wrong.
        field: String,
        /// What it holds and what it must hold.
        reason: String,
    },
    /// A section's bytes do not match its checksum.
    Checksum {
        /// The section.
        section: String,
    },
    /// A valid request that lanerank does not support.
    Unsupported(String),
    /// The tokenizer's vocabulary or rules cannot be used.
    Tokenizer(TokenizerError),
    /// The requested kernel tier is unknown, or this CPU lacks it.
    Isa(lanerank_kernels::IsaError),
    /// An argument is out of range.
    Argument(String),
    /// The system refused to start the threads that the user asked for.
    Threads {
        /// The number asked for, the calling thread included.
        count: usize,
        /// What the system said.
        reason: String,
    },
    /// [`Builder::interrupt`](crate::Builder::interrupt) said to stop.
    Interrupted,
    /// The model computed a score that is not a number.
    NotANumber {
        /// Index of the passage.
        index: usize,
    },
}

impl Error {
    /// An [`Error::Format`].
    pub fn format(field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Format {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// An [`Error::Format`] that names a section.
    pub(crate) fn section(name: &str, reason: impl Into<String>) -> Error {
        Error::format(format!("section {name}"), reason)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Format { field, reason } => write!(f, "model file: {field}: {reason}"),
            Error::Checksum { section } => {
                write!(f, "model file: section {section}: checksum does not match")
            }
            Error::Unsupported(what) => write!(f, "not supported: {what}"),
            Error::Tokenizer(e) => write!(f, "tokenizer: {e}"),
            Error::Isa(e) => write!(f, "{e}"),
            Error::Argument(what) => write!(f, "{what}"),
            Error::Threads { count, reason } => {
                write!(f, "threads: the system refused to start {count}: {reason}")
            }
            Error::Interrupted => write!(f, "interrupted"),
            Error::NotANumber { index } => {
                write!(f, "the score of passage {index} is not a number")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Tokenizer(e) => Some(e),
            Error::Isa(e) => Some(e),
            _ => None,
        }
    }
}

impl From<TokenizerError> for Error {
    fn from(e: TokenizerError) -> Self {
        Error::Tokenizer(e)
    }
}

impl From<lanerank_kernels::IsaError> for Error {
    fn from(e: lanerank_kernels::IsaError) -> Self {
        Error::Isa(e)
    }
}

/// Why a vocabulary or its rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The vocabulary file is not UTF-8.
    NotUtf8 {
        /// The first such line, counted from 1.
        line: usize,
    },
    /// The vocabulary file begins with a byte order mark before this piece, which no text contains
    /// then. Only the padding token may stand there.
    ByteOrderMark(String),
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
            TokenizerError::ByteOrderMark(piece) => write!(
                f,
                "the vocabulary begins with a byte order mark, which other tokenizers take for a \
                 part of the piece {piece:?}: save it as UTF-8 without the mark"
            ),
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
