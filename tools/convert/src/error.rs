//! Why a model cannot be converted.

use std::fmt;
use std::path::PathBuf;

use lanerank::kernels::IsaError;
use lanerank::tokenizer::TokenizerError;

/// Why a model cannot be converted. Every message names what was wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file of the source could not be read.
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The source lacks a tensor, or has one of the wrong shape or with unusable values.
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option is out of range.
    Argument(String),
    /// The engine refused a file, a tokenizer or an option.
    Engine(lanerank::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Tensor { name, reason } => write!(f, "tensor {name}: {reason}"),
            Error::Argument(reason) => f.write_str(reason),
            Error::Engine(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Engine(e) => Some(e),
            _ => None,
        }
    }
}

impl From<lanerank::Error> for Error {
    fn from(e: lanerank::Error) -> Self {
        Error::Engine(e)
    }
}

impl From<TokenizerError> for Error {
    fn from(e: TokenizerError) -> Self {
        Error::Engine(e.into())
    }
}

impl From<IsaError> for Error {
    fn from(e: IsaError) -> Self {
        Error::Engine(e.into())
    }
}
