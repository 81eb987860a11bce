//! The one error type of the library.

use std::fmt;
use std::path::PathBuf;

use crate::tokenizer::TokenizerError;

/// What can go wrong. Every message names what was wrong and where.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A model file breaks the format: the field that is wrong, and how.
    Format {
        /// The header field, directory entry or section.
        field: String,
        /// What it holds and what it would have to hold.
        reason: String,
    },
    /// A section's bytes are not those its checksum was made from.
    Checksum {
        /// The section.
        section: String,
    },
    /// Something valid that lanerank does not do.
    Unsupported(String),
    /// The tokenizer's vocabulary or rules cannot be used.
    Tokenizer(TokenizerError),
    /// The kernel tier asked for is unknown, or this CPU lacks it.
    Isa(lanerank_kernels::IsaError),
    /// An argument is out of range.
    Argument(String),
    /// The model computed a score that is not a number.
    NotANumber {
        /// Index of the passage.
        index: usize,
    },
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
