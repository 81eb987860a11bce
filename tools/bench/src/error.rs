//! Why a measurement could not be made.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a measurement could not be made.
#[derive(Debug)]
pub enum BenchError {
    /// No case and tier matches the filter.
    NoCase {
        /// The filter.
        filter: String,
    },
    /// The request to measure has no passages.
    NoPassages,
    /// No measured tier has peaks, so there is no roofline to draw.
    NoPeaks,
    /// The system refused to start the calling threads.
    Threads {
        /// How many were to call at the same time.
        callers: u16,
        /// The system's answer.
        source: io::Error,
    },
    /// The picture could not be drawn.
    Picture {
        /// Its file.
        path: PathBuf,
        /// What the drawing library said.
        reason: String,
    },
    /// The picture could not be written; the error names its file.
    Write(lanerank::Error),
    /// The library refused a model or a request.
    Library(lanerank_convert::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BenchError::NoCase { filter } => {
                write!(f, "no operation/shape/tier has {filter:?} in its name")
            }
            BenchError::NoPassages => f.write_str("the request has no passages"),
            BenchError::NoPeaks => {
                f.write_str("no tier here has measurable peaks, which a roofline needs")
            }
            BenchError::Threads { callers, source } => write!(f, "{callers} callers: {source}"),
            BenchError::Picture { path, reason } => write!(f, "{}: {reason}", path.display()),
            BenchError::Write(source) => source.fmt(f),
            BenchError::Library(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for BenchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BenchError::Threads { source, .. } => Some(source),
            BenchError::Write(source) => Some(source),
            BenchError::Library(source) => Some(source),
            _ => None,
        }
    }
}

impl From<lanerank::Error> for BenchError {
    fn from(source: lanerank::Error) -> Self {
        BenchError::Library(source.into())
    }
}

impl From<lanerank_convert::Error> for BenchError {
    fn from(source: lanerank_convert::Error) -> Self {
        BenchError::Library(source)
    }
}
