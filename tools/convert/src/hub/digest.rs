//! The two digests by which the hub names content.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

const CHUNK: usize = 1 << 16;

/// The name of a file's content: the hub's etag, and the name of the blob in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digest {
    /// SHA-256, for large files.
    Sha256(String),
    /// Git's object id, for small files: SHA-1 of a header with the length, then the content.
    Git(String),
}

impl Digest {
    /// Parses an object id, or an etag in quotes. Only 64 or 40 lower-case hexadecimal digits are
    /// valid.
    pub(super) fn parse(text: &str) -> Option<Digest> {
        let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match text.len() {
            64 if text.bytes().all(is_digit) => Some(Digest::Sha256(text.into())),
            40 if text.bytes().all(is_digit) => Some(Digest::Git(text.into())),
            _ => None,
        }
    }

    /// The hexadecimal digits.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Digest::Sha256(text) | Digest::Git(text) => text,
        }
    }

    /// The digest of a file's content, of the same kind.
    pub(super) fn same_kind_of(&self, path: &Path) -> io::Result<Digest> {
        match self {
            Digest::Sha256(_) => Ok(Digest::Sha256(sha256_of(path)?)),
            Digest::Git(_) => {
                let file = File::open(path)?;
                let mut hash = Sha1::new();
                hash.update(format!("blob {}\0", file.metadata()?.len()));
                each_chunk(file, |chunk| hash.update(chunk))?;
                Ok(Digest::Git(hex(&hash.finalize())))
            }
        }
    }
}

/// SHA-256 of a file's content.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    each_chunk(File::open(path)?, |chunk| hash.update(chunk))?;
    Ok(hex(&hash.finalize()))
}

/// SHA-256 of bytes.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn each_chunk(mut file: File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags() {
        let sha = "a".repeat(64);
        let git = "0123456789".repeat(4);
        assert_eq!(
            Digest::parse(&format!("\"{sha}\"")),
            Some(Digest::Sha256(sha))
        );
        assert_eq!(
            Digest::parse(&format!("W/\"{git}\"")),
            Some(Digest::Git(git))
        );
        for bad in [
            "",
            "\"\"",
            &"A".repeat(64),
            &"g".repeat(40),
            &"a".repeat(63),
            "../x",
        ] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn digests_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "hello\n").unwrap();
        // `sha256sum` and `git hash-object`.
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        for expected in [sha, git] {
            let expected = Digest::parse(expected).unwrap();
            assert_eq!(expected.same_kind_of(&path).unwrap(), expected);
        }
        assert_eq!(sha256(b"hello\n"), sha);
    }
}
