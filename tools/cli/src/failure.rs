//! Why a command failed, and its exit code.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "hub")]
use lanerank_convert::hub::HubError;
use lanerank_convert::import::ImportError;
use lanerank_requests::RequestError;

/// How to get everything.
pub(crate) const INSTALL: &str = "in lanerank's repository, `cargo install --path tools/cli \
                                  --features full` installs the program with everything";

/// A place in the input: a file, and a line if it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    name: String,
    line: Option<u64>,
}

impl Place {
    /// A file as a whole.
    pub fn file(path: &Path) -> Self {
        Place {
            name: path.display().to_string(),
            line: None,
        }
    }

    /// Input with a name but no path, such as standard input.
    pub fn named(name: &str) -> Self {
        Place {
            name: name.to_owned(),
            line: None,
        }
    }

    /// A line of the same file, counted from 1.
    pub fn at_line(&self, line: u64) -> Self {
        Place {
            name: self.name.clone(),
            line: Some(line),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Input is missing, unreadable or wrong.
    Input {
        /// The file, and the line if it is known.
        place: Place,
        /// What is wrong there.
        reason: String,
    },
    /// The library refused a file or an argument.
    Library {
        /// The file concerned, if there is one.
        path: Option<PathBuf>,
        /// The library's error.
        source: lanerank::Error,
    },
    /// The input is right, but the command could not do its work.
    Failed(String),
    /// Standard output could not be written.
    Output(io::Error),
}

impl Failure {
    /// Wrong input at a place.
    pub fn input(place: &Place, reason: impl fmt::Display) -> Self {
        Failure::Input {
            place: place.clone(),
            reason: reason.to_string(),
        }
    }

    /// Input that is not the expected JSON. The line is that of `place` if it has one (JSON lines),
    /// otherwise the parser's.
    pub fn json(place: &Place, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let message = text.strip_suffix(&format!(" at line {line} column {column}"));
        let place = match place.line {
            None if line > 0 => place.at_line(line as u64),
            _ => place.clone(),
        };
        match message {
            Some(message) => Failure::input(&place, format!("{message} (column {column})")),
            None => Failure::input(&place, text),
        }
    }

    /// A request that cannot be read. The line is that of `place` if it has one, otherwise the
    /// parser's.
    pub fn request(place: &Place, error: &RequestError) -> Self {
        let reason = match error {
            RequestError::Syntax(reason) | RequestError::Invalid(reason) => reason,
            RequestError::TooManyTexts { .. } => {
                return Failure::input(place, format!("{error}; split it"));
            }
        };
        let Some((line, column)) = reason.place() else {
            return Failure::input(place, reason);
        };
        let place = match place.line {
            None => place.at_line(line as u64),
            Some(_) => place.clone(),
        };
        let message = reason.without_place();
        Failure::input(&place, format!("{message} (column {column})"))
    }

    /// An error of the library about a file.
    pub fn library(path: &Path, source: lanerank::Error) -> Self {
        Failure::Library {
            path: Some(path.to_owned()),
            source,
        }
    }

    /// An error of the converter about a file.
    pub fn conversion(path: &Path, error: lanerank_convert::Error) -> Self {
        match error {
            lanerank_convert::Error::Engine(source) => Failure::library(path, source),
            // This error names its file itself.
            lanerank_convert::Error::Io { .. } => error.into(),
            other => Failure::input(&Place::file(path), other),
        }
    }

    /// What to do about it, where the message alone does not say.
    fn advice(&self) -> Option<&'static str> {
        use lanerank::Error::{Checksum, Format, Io, Isa, Threads};
        let (path, source) = match self {
            Failure::Library { path, source } => (path, source),
            // The converter's words, which does not know the program.
            Failure::Input { reason, .. } if reason.ends_with("which this build lacks") => {
                return Some(INSTALL);
            }
            _ => return None,
        };
        match source {
            Format { .. } | Checksum { .. } if path.is_some() => {
                Some("the file is damaged or of another version: copy or convert it again")
            }
            Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("give the path of a model file, which `lanerank convert` makes")
            }
            Isa(_) => Some("`lanerank doctor` shows the tiers that run here"),
            Threads { .. } => Some("ask for fewer with --threads"),
            _ => None,
        }
    }

    /// 0 if the reader of a pipe has closed it, 1 for work that failed, 2 for wrong usage or input.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => 0,
            Failure::Output(_) | Failure::Failed(_) => 1,
            Failure::Library {
                source:
                    lanerank::Error::NotANumber { .. }
                    | lanerank::Error::Threads { .. }
                    | lanerank::Error::Interrupted,
                ..
            } => 1,
            Failure::Library { .. } | Failure::Usage(_) | Failure::Input { .. } => 2,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) | Failure::Failed(what) => f.write_str(what),
            Failure::Input { place, reason } => write!(f, "{place}: {reason}"),
            Failure::Library { path, source } => match (path, source) {
                // This error names its file itself.
                (_, lanerank::Error::Io { .. }) | (None, _) => write!(f, "{source}"),
                (Some(path), _) => write!(f, "{}: {source}", path.display()),
            },
            Failure::Output(e) => write!(f, "standard output: {e}"),
        }?;
        match self.advice() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

impl From<lanerank::Error> for Failure {
    fn from(source: lanerank::Error) -> Self {
        Failure::Library { path: None, source }
    }
}

impl From<lanerank_convert::Error> for Failure {
    fn from(error: lanerank_convert::Error) -> Self {
        match error {
            lanerank_convert::Error::Engine(source) => source.into(),
            lanerank_convert::Error::Io { path, source } => {
                Failure::input(&Place::file(&path), source)
            }
            other => Failure::Usage(other.to_string()),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Library { path, source } => Failure::conversion(&path, *source),
            // The command line spells options with hyphens.
            ImportError::Option { name, reason } => {
                Failure::Usage(format!("--{}: {reason}", name.replace('_', "-")))
            }
            ImportError::Input { path, line, reason } => {
                let place = Place::file(&path);
                let place = line.map_or(place.clone(), |line| place.at_line(line));
                Failure::input(&place, reason)
            }
            other => Failure::Failed(other.to_string()),
        }
    }
}

#[cfg(feature = "hub")]
impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Import(e) => e.into(),
            HubError::Library(e) => (*e).into(),
            HubError::Id { .. } | HubError::Setting { .. } => Failure::Usage(error.to_string()),
            other => Failure::Failed(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_file_and_line() {
        let place = Place::file(Path::new("a/b.jsonl"));
        assert_eq!(place.to_string(), "a/b.jsonl");
        assert_eq!(place.at_line(7).to_string(), "a/b.jsonl:7");
    }

    #[test]
    fn json_errors_keep_the_line_of_the_file() {
        let error = serde_json::from_str::<u8>("[").unwrap_err();
        let line = Place::named("x").at_line(12);
        assert!(
            Failure::json(&line, &error)
                .to_string()
                .starts_with("x:12: ")
        );
        let error = serde_json::from_str::<Vec<u8>>("[1,\n\"a\"]").unwrap_err();
        let message = Failure::json(&Place::named("x"), &error).to_string();
        assert!(message.starts_with("x:2: invalid type"), "{message}");
        assert!(message.ends_with("(column 3)"), "{message}");
    }

    #[test]
    fn errors_end_with_what_to_do() {
        let told = |source| Failure::library(Path::new("m.lane"), source).to_string();
        let section = "pooler".to_owned();
        let damaged = told(lanerank::Error::Checksum { section });
        assert!(damaged.starts_with("m.lane: model file: "), "{damaged}");
        assert!(damaged.ends_with("copy or convert it again"), "{damaged}");
        let unknown = "mmx".parse::<lanerank::kernels::Isa>().unwrap_err();
        let unknown = Failure::from(lanerank::Error::Isa(unknown)).to_string();
        assert!(unknown.ends_with("the tiers that run here"), "{unknown}");
        let path = PathBuf::from("m.lane");
        let source = io::ErrorKind::NotFound.into();
        let missing = told(lanerank::Error::Io { path, source });
        assert!(missing.ends_with("`lanerank convert` makes"), "{missing}");
        let lacks = "ONNX files need the feature `onnx`, which this build lacks";
        let lacks = Failure::input(&Place::named("m.onnx"), lacks).to_string();
        assert!(lacks.ends_with(INSTALL), "{lacks}");
    }

    #[test]
    fn exit_codes() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::Output(closed).exit_code(), 0);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Failure::Output(full).exit_code(), 1);
        assert_eq!(Failure::Usage(String::new()).exit_code(), 2);
        let nan = lanerank::Error::NotANumber { index: 3 };
        assert_eq!(Failure::from(nan).exit_code(), 1);
        let argument = lanerank::Error::Argument(String::new());
        assert_eq!(Failure::from(argument).exit_code(), 2);
    }
}
