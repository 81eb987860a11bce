//! The library's errors as Python's exceptions.

use std::io;
use std::path::Path;

use lanerank::Error;
use lanerank_convert::hub::HubError as LibraryHubError;
use lanerank_convert::import::ImportError;
use pyo3::PyErr;
use pyo3::create_exception;
use pyo3::exceptions::{PyArithmeticError, PyOSError, PyRuntimeError, PyValueError};

use crate::interrupts;

create_exception!(
    lanerank,
    ModelError,
    PyValueError,
    "A model file or a source of one is damaged, or is of a kind that lanerank does not run."
);
create_exception!(
    lanerank,
    HubError,
    PyOSError,
    "A model could not be downloaded: no connection, no permission, no such name."
);

/// The exception for an error of the library.
pub(crate) fn exception(error: Error) -> PyErr {
    match error {
        Error::Io { path, source } => os_error(&path, &source),
        Error::Argument(reason) => PyValueError::new_err(reason),
        Error::NotANumber { .. } => PyArithmeticError::new_err(error.to_string()),
        Error::Interrupted => interrupts::raised(),
        Error::Isa(_) | Error::Threads { .. } => PyRuntimeError::new_err(error.to_string()),
        _ => ModelError::new_err(error.to_string()),
    }
}

/// The exception for an error of the converter.
pub(crate) fn conversion_exception(error: lanerank_convert::Error) -> PyErr {
    match error {
        lanerank_convert::Error::Engine(error) => exception(error),
        lanerank_convert::Error::Io { path, source } => os_error(&path, &source),
        lanerank_convert::Error::Argument(reason) => PyValueError::new_err(reason),
        other => ModelError::new_err(other.to_string()),
    }
}

/// The exception for an error of a model's name, download or source.
pub(crate) fn hub_exception(error: LibraryHubError) -> PyErr {
    match error {
        LibraryHubError::Disk { path, source } => os_error(&path, &source),
        LibraryHubError::Library(error) => conversion_exception(*error),
        LibraryHubError::Id { .. }
        | LibraryHubError::Setting { .. }
        | LibraryHubError::Import(ImportError::Option { .. }) => {
            PyValueError::new_err(error.to_string())
        }
        LibraryHubError::Import(_) | LibraryHubError::NoModel { .. } => {
            ModelError::new_err(error.to_string())
        }
        _ => HubError::new_err(error.to_string()),
    }
}

/// `OSError` with number and file name. Python makes it `FileNotFoundError` or a similar subclass.
fn os_error(path: &Path, error: &io::Error) -> PyErr {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(number) => {
            let suffix = format!(" (os error {number})");
            let text = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
            PyOSError::new_err((number, text, path.as_os_str().to_owned()))
        }
        None => PyOSError::new_err(format!("{}: {text}", path.display())),
    }
}
