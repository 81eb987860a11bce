//! Why a server does not start, or stops.

use std::fmt;
use std::path::PathBuf;

/// Why a server does not start, or stops.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting is wrong. The message names it.
    Config(String),
    /// A model cannot be served.
    Model {
        /// The name that requests would use.
        name: String,
        /// The model file; `None` for the embedded model.
        path: Option<PathBuf>,
        /// The library's error.
        source: lanerank::Error,
    },
    /// A system call failed.
    Io {
        /// The attempted step.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Config(what) => f.write_str(what),
            ServeError::Model { name, path, source } => match (path, source) {
                // An I/O error names its file itself.
                (None, _) | (_, lanerank::Error::Io { .. }) => write!(f, "model {name}: {source}"),
                (Some(path), _) => write!(f, "model {name}: {}: {source}", path.display()),
            },
            ServeError::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Config(_) => None,
            ServeError::Model { source, .. } => Some(source),
            ServeError::Io { source, .. } => Some(source),
        }
    }
}
