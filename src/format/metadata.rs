//! The `metadata` section: notes, one `key=value` per line.

use crate::error::Error;

/// The section's bytes.
///
/// # Errors
/// [`Error::Argument`] if a key or a value does not fit a line.
pub fn to_bytes(notes: &[(String, String)]) -> Result<Vec<u8>, Error> {
    let mut text = String::new();
    for (key, value) in notes {
        let broken =
            key.is_empty() || key.contains(['=', '\n', '\r']) || value.contains(['\n', '\r']);
        if broken {
            let reason = format!("metadata {key:?}: a key or value that does not fit on a line");
            return Err(Error::Argument(reason));
        }
        text.push_str(&format!("{key}={value}\n"));
    }
    Ok(text.into_bytes())
}

/// Reads the section.
///
/// # Errors
/// If it is not lines of `key=value` in UTF-8.
pub fn parse(bytes: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let broken = || Error::format("metadata", "not lines of key=value in UTF-8");
    let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
    text.lines()
        .map(|line| {
            let (key, value) = line.split_once('=').ok_or_else(broken)?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}
