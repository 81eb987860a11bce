//! Mapped files: the only place in the library that needs `unsafe`.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use super::storage::Blob;
use crate::error::Error;

/// Maps a file read-only.
///
/// # Safety
/// The file must not change or shrink while any view of it lives: its bytes are handed out as
/// ordinary shared slices.
///
/// # Errors
/// When the file cannot be opened or mapped.
pub unsafe fn map(path: &Path) -> Result<Blob, Error> {
    let io = |source| Error::Io {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    if len == 0 {
        // Some systems cannot map an empty range. As bytes it fails later with a clear message.
        return Ok(Blob::copy_from(&[]));
    }
    // SAFETY: the caller promises that the file does not change while it is mapped.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(io)?;
    Ok(Blob::from_map(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_file_is_its_bytes() {
        let path = std::env::temp_dir().join(format!("lanerank-map-{}", std::process::id()));
        for content in [&b""[..], b"x", &[7; 5000]] {
            std::fs::write(&path, content).unwrap();
            // SAFETY: the file is this test's own, and it is not written to while it is mapped.
            let blob = unsafe { map(&path) }.unwrap();
            assert_eq!(&*blob, content);
        }
        std::fs::remove_file(&path).unwrap();
        // SAFETY: there is no file.
        assert!(matches!(unsafe { map(&path) }, Err(Error::Io { .. })));
    }
}
