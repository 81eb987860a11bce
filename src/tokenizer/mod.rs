//! WordPiece.

use std::fmt;

/// Why a vocabulary or its rules cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum TokenizerError {}

impl fmt::Display for TokenizerError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
impl std::error::Error for TokenizerError {}
