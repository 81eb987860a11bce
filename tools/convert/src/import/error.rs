//! Why a source cannot be read.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a source cannot be read. Every message names the file and the fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImportError {
    /// A file is missing, unreadable or wrong, or holds a model that lanerank does not run.
    Input {
        /// The file or folder. A file in an archive is named as if the archive were a folder.
        path: PathBuf,
        /// The line, counted from 1, if known.
        line: Option<u64>,
        /// The fault.
        reason: String,
    },
    /// The engine refused the content of a file.
    Library {
        /// The file.
        path: PathBuf,
        /// The engine's error.
        source: Box<crate::error::Error>,
    },
    /// An option does not fit this source.
    Option {
        /// Its name: a field of [`Options`](super::Options).
        name: &'static str,
        /// The reason.
        reason: String,
    },
}

impl ImportError {
    /// A fault of a file.
    pub(crate) fn at(path: impl AsRef<Path>, reason: impl fmt::Display) -> Self {
        ImportError::Input {
            path: path.as_ref().to_owned(),
            line: None,
            reason: reason.to_string(),
        }
    }

    /// A fault in a line of a file.
    pub(crate) fn at_line(path: impl AsRef<Path>, line: u64, reason: impl fmt::Display) -> Self {
        ImportError::Input {
            path: path.as_ref().to_owned(),
            line: Some(line),
            reason: reason.to_string(),
        }
    }

    /// A file that is not the expected JSON.
    pub(crate) fn json(path: impl AsRef<Path>, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let message = text.strip_suffix(&format!(" at line {line} column {column}"));
        match message {
            Some(message) if line > 0 => {
                Self::at_line(path, line as u64, format!("{message} (column {column})"))
            }
            _ => Self::at(path, text),
        }
    }

    /// The engine's error about a file.
    pub(crate) fn library(path: impl AsRef<Path>, source: impl Into<crate::error::Error>) -> Self {
        ImportError::Library {
            path: path.as_ref().to_owned(),
            source: Box::new(source.into()),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Input {
                path,
                line: Some(line),
                reason,
            } => write!(f, "{}:{line}: {reason}", path.display()),
            ImportError::Input { path, reason, .. } => write!(f, "{}: {reason}", path.display()),
            ImportError::Library { path, source } => write!(f, "{}: {source}", path.display()),
            ImportError::Option { name, reason } => write!(f, "{name}: {reason}"),
        }
    }
}

impl std::error::Error for ImportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ImportError::Library { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_file_and_line() {
        assert_eq!(ImportError::at("a/b", "x").to_string(), "a/b: x");
        assert_eq!(ImportError::at_line("a/b", 7, "x").to_string(), "a/b:7: x");
        let error = serde_json::from_str::<Vec<u8>>("[1,\n\"a\"]").unwrap_err();
        let message = ImportError::json("x", &error).to_string();
        assert!(message.starts_with("x:2: invalid type"), "{message}");
        assert!(message.ends_with("(column 3)"), "{message}");
        let library = ImportError::library("m", crate::error::Error::Argument("y".into()));
        assert_eq!(library.to_string(), "m: y");
        assert!(std::error::Error::source(&library).is_some());
    }
}
