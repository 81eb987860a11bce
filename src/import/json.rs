//! JSON files of a model folder.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::error::ImportError;

/// A tokenizer.json with half a million pieces is some 20 MB.
const MAX_JSON: u64 = 256 << 20;

/// Reads a file as text, for parsers that borrow from it: UTF-8, with or without a byte order mark.
pub fn read_text(path: &Path) -> Result<String, ImportError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| ImportError::at(path, e))?;
    let read = file.take(MAX_JSON + 1).read_to_end(&mut bytes);
    read.map_err(|e| ImportError::at(path, e))?;
    if bytes.len() as u64 > MAX_JSON {
        return Err(ImportError::at(
            path,
            format!("longer than {MAX_JSON} bytes"),
        ));
    }
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count() as u64;
        ImportError::at_line(path, line, "not UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Reads a JSON file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ImportError> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|e| ImportError::json(path, &e))
}

/// Reads a JSON file that need not exist.
pub fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ImportError> {
    path.exists().then(|| read(path)).transpose()
}
