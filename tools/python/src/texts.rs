//! Texts from Python, without copies.

use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyByteArray, PyBytes, PyString};

/// Texts between two checks for Ctrl-C.
const CHECK_EVERY: usize = 1 << 16;

/// The strings of an iterable, without copying them. `name` is the argument's name for messages.
///
/// # Errors
/// `TypeError` if it is no iterable of texts, such as a `str`, or names the first element that is
/// not a `str`; `UnicodeEncodeError` for a lone surrogate, which is not text.
pub(crate) fn strings(name: &str, texts: &Bound<'_, PyAny>) -> PyResult<Vec<PyBackedStr>> {
    // Each of these can be iterated, but not by texts: by characters, numbers or keys.
    let is_other = texts.is_instance_of::<PyString>()
        || texts.is_instance_of::<PyBytes>()
        || texts.is_instance_of::<PyByteArray>()
        || texts.hasattr("keys")?;
    let Some(items) = texts.try_iter().ok().filter(|_| !is_other) else {
        let kind = kind(texts);
        return Err(PyTypeError::new_err(format!(
            "{name} is {kind}, not a list of str; for one text, pass [text]"
        )));
    };
    let items = items.enumerate();
    items
        .map(|(i, item)| {
            if i % CHECK_EVERY == CHECK_EVERY - 1 {
                texts.py().check_signals()?;
            }
            string(&format_args!("{name}[{i}]"), &item?)
        })
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
        PyTypeError::new_err(format!("{name} is {}, not str", kind(text)))
    })
}

/// The name of a value's type.
fn kind(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name().map(|name| name.to_string());
    name.unwrap_or_else(|_| "something else".into())
}
