//! The first 64 bytes of a model file.

use byteorder::{ByteOrder, LittleEndian as Le};

use super::checksum::xxh64;
use super::storage::ALIGNMENT;
use crate::error::Error;

/// The first eight bytes of every model file.
pub const MAGIC: [u8; 8] = *b"LANERANK";
/// The version this library reads and writes.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = ALIGNMENT;
/// Most sections of a file, checked before anything else is read.
pub const MAX_SECTIONS: usize = 4096;

/// The header fields that vary between files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Number of directory entries.
    pub section_count: usize,
    /// Length of the whole file in bytes.
    pub file_len: usize,
    /// XXH64 of the directory's bytes.
    pub directory_checksum: u64,
}

impl Header {
    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        Le::write_u32(&mut bytes[8..12], VERSION);
        Le::write_u32(&mut bytes[12..16], self.section_count as u32);
        Le::write_u64(&mut bytes[16..24], self.file_len as u64);
        Le::write_u64(&mut bytes[24..32], self.directory_checksum);
        let checksum = xxh64(&bytes[..56]);
        Le::write_u64(&mut bytes[56..], checksum);
        bytes
    }

    /// Reads the header; `file` is the whole file.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        Self::parse_start(file, file.len() as u64)
    }

    /// Reads the header; `file` is the start of a file of `len` bytes.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn parse_start(file: &[u8], len: u64) -> Result<Header, Error> {
        if file.len() < HEADER_LEN {
            let reason = format!("the file has {len} bytes, the header alone {HEADER_LEN}");
            return Err(Error::format("header", reason));
        }
        if file[..8] != MAGIC {
            return Err(Error::format("magic", foreign(file)));
        }
        let version = Le::read_u32(&file[8..12]);
        if version != VERSION {
            return Err(Error::format(
                "version",
                format!("{version}, but this library reads version {VERSION}"),
            ));
        }
        if Le::read_u64(&file[56..64]) != xxh64(&file[..56]) {
            return Err(Error::Checksum {
                section: "header".into(),
            });
        }
        let header = Header {
            section_count: Le::read_u32(&file[12..16]) as usize,
            file_len: to_usize(Le::read_u64(&file[16..24]), || "file_length".into())?,
            directory_checksum: Le::read_u64(&file[24..32]),
        };
        header.validate(file, len)?;
        Ok(header)
    }

    fn validate(&self, file: &[u8], len: u64) -> Result<(), Error> {
        if self.section_count > MAX_SECTIONS {
            return Err(Error::format(
                "section_count",
                format!("{} is more than {MAX_SECTIONS}", self.section_count),
            ));
        }
        if self.file_len as u64 != len {
            return Err(Error::format(
                "file_length",
                format!("{}, but the file has {len} bytes", self.file_len),
            ));
        }
        if file[32..56].iter().any(|&byte| byte != 0) {
            return Err(Error::format("reserved", "bytes 32 to 56 are not zero"));
        }
        Ok(())
    }
}

/// What a file with other first bytes is.
fn foreign(file: &[u8]) -> &'static str {
    if file.starts_with(b"version https://git-lfs.github.com/spec/") {
        "this is a Git LFS pointer, not the model file itself: run `git lfs pull` in the folder \
         that git made, or download the file"
    } else {
        "this is not a lanerank model file"
    }
}

/// Converts a size from the file to `usize`; `name` is for the error.
pub(crate) fn to_usize(value: u64, name: impl FnOnce() -> String) -> Result<usize, Error> {
    usize::try_from(value)
        .map_err(|_| Error::format(name(), format!("{value} does not fit this machine")))
}
