//! Texts from Python, without copies.

use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyString;

/// The strings of an iterable, without copying them. `name` is the argument's name for messages.
///
/// # Errors
/// `TypeError` that names the first element that is not a `str`; `UnicodeEncodeError` for a lone
/// surrogate, which is not text.
pub(crate) fn strings(name: &str, texts: &Bound<'_, PyAny>) -> PyResult<Vec<PyBackedStr>> {
    if texts.is_instance_of::<PyString>() {
        let reason = format!("{name} is a str, not a list of them");
        return Err(PyTypeError::new_err(reason));
    }
    let items = texts.try_iter()?.enumerate();
    items
        .map(|(i, item)| string(&format_args!("{name}[{i}]"), &item?))
        .collect()
}

/// One string.
///
/// # Errors
/// As [`strings`].
pub(crate) fn string(
    name: &dyn std::fmt::Display,
    text: &Bound<'_, PyAny>,
) -> PyResult<PyBackedStr> {
    text.extract().map_err(|e: PyErr| {
        if e.is_instance_of::<PyUnicodeEncodeError>(text.py()) {
            return e;
        }
        let kind = text.get_type().name().map(|name| name.to_string());
        let kind = kind.unwrap_or_else(|_| "something else".into());
        PyTypeError::new_err(format!("{name} is {kind}, not str"))
    })
}
