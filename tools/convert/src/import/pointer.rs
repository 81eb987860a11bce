//! Git LFS pointers: the few lines that a clone without Git LFS has in place of a large file.

use std::path::Path;

use super::error::ImportError;

/// First bytes of a pointer.
const START: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Bytes that tell a pointer from other files.
pub(super) const START_LEN: usize = START.len();

/// Longest pointer.
pub(super) const MAX_LEN: u64 = 1024;

/// What to do with a pointer.
pub(super) const REASON: &str = "is a Git LFS pointer, not the file itself: run `git lfs pull` in \
     the folder that git made, or download the file";

/// Whether a file with these first bytes is a pointer.
pub(super) fn is_pointer(start: &[u8]) -> bool {
    start.starts_with(START)
}

/// Refuses a pointer.
///
/// # Errors
/// Names the file, and the command that gets its content.
pub(super) fn check(path: &Path, start: &[u8]) -> Result<(), ImportError> {
    if is_pointer(start) {
        Err(ImportError::at(path, REASON))
    } else {
        Ok(())
    }
}
