//! JSON files of a model folder.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::failure::{Failure, Place};
use crate::input::Input;

/// A tokenizer.json with half a million pieces is some 20 MB.
const MAX_JSON: u64 = 256 << 20;

/// Reads a JSON file as text, for parsers that borrow from it.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    Input::open(Some(path))?.read_whole(MAX_JSON)
}

/// Reads a JSON file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|e| Failure::json(&Place::file(path), &e))
}

/// Reads a JSON file that need not exist.
pub fn read_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    path.exists().then(|| read(path)).transpose()
}
