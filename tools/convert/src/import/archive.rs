//! Reads zip archives without unpacking them to disk.
//!
//! An archive is refused as a whole if an entry's name leads out of it, is absolute or occurs
//! twice, if it is a link, or if it unpacks to more than the source's [`Budget`]. Unpacking it
//! elsewhere would be dangerous, and no model is packed like this.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::budget::Budget;

/// The source of an archive's bytes.
pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Archives of models have about ten entries; those of checkpoints have one per tensor.
const MAX_ENTRIES: usize = 1 << 16;

/// An archive whose entries were checked.
pub(super) struct Archive {
    zip: ZipArchive<Box<dyn ReadSeek>>,
    /// Index of each file by its name.
    files: BTreeMap<String, usize>,
    /// Files whose checksum was compared.
    sound: HashSet<usize>,
}

impl Archive {
    /// Opens an archive and checks all of its entries. `len` is the length of the source.
    ///
    /// # Errors
    /// When it is not a zip archive, or holds something that is refused.
    pub(super) fn open(
        reader: Box<dyn ReadSeek>,
        len: u64,
        budget: &Budget,
    ) -> Result<Self, String> {
        let zip = ZipArchive::new(reader).map_err(|e| e.to_string())?;
        if zip.has_duplicate_names() {
            let start = zip.central_directory_start();
            return Err(twice(
                &repeated(zip.into_inner(), start).unwrap_or_default(),
            ));
        }
        let mut archive = Archive {
            zip,
            files: BTreeMap::new(),
            sound: HashSet::new(),
        };
        let count = archive.zip.len();
        if count > MAX_ENTRIES {
            return Err(format!("{count} entries; at most {MAX_ENTRIES} are read"));
        }
        let mut packed = 0u64;
        for index in 0..count {
            let entry = archive.zip.by_index_raw(index).map_err(|e| e.to_string())?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            check(&entry, &name)
                .and_then(|()| budget.check(entry.size()))
                .map_err(|reason| format!("entry {name:?}: {reason}"))?;
            packed = packed.saturating_add(entry.compressed_size());
            if entry.is_dir() {
                continue;
            }
            drop(entry);
            if archive.files.insert(name.clone(), index).is_some() {
                return Err(twice(&name));
            }
        }
        if packed <= len {
            Ok(archive)
        } else {
            Err(format!(
                "its entries claim {packed} bytes of {len}: they overlap"
            ))
        }
    }

    /// Names of all files, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Length of a file according to the archive.
    pub(super) fn len_of(&mut self, name: &str) -> Option<u64> {
        let index = *self.files.get(name)?;
        Some(self.zip.by_index_raw(index).ok()?.size())
    }

    /// A file's content.
    ///
    /// # Errors
    /// When it does not exist, is damaged, is encrypted or uses an unknown compression.
    pub(super) fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        self.read_at(self.index_of(name).ok_or(io::ErrorKind::NotFound)?)
    }

    /// The index of a file, for [`Archive::read_at`].
    pub(super) fn index_of(&self, name: &str) -> Option<usize> {
        self.files.get(name).copied()
    }

    /// As [`Archive::read`], by index.
    pub(super) fn read_at(&mut self, index: usize) -> io::Result<Vec<u8>> {
        let mut entry = self.zip.by_index(index).map_err(io::Error::other)?;
        let len = entry.size();
        let mut content = Vec::new();
        // The budget bounds the length that the archive claims.
        content.try_reserve_exact(usize::try_from(len).map_err(io::Error::other)?)?;
        (&mut entry).take(len + 1).read_to_end(&mut content)?;
        if content.len() as u64 == len {
            Ok(content)
        } else {
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("entry {name:?} does not have the announced length of {len} bytes"),
            ))
        }
    }

    /// A part of a file, which must not be compressed: parts of one that is take as long as all of
    /// it. The checksum of the whole file is compared once.
    ///
    /// # Errors
    /// As [`Archive::read`], and when the file is compressed.
    pub(super) fn read_part(&mut self, index: usize, part: Range<u64>) -> io::Result<Vec<u8>> {
        if !self.sound.contains(&index) {
            let mut entry = self.zip.by_index(index).map_err(io::Error::other)?;
            if entry.compression() != CompressionMethod::Stored {
                let name = String::from_utf8_lossy(entry.name_raw());
                let message = format!("a part of {name:?}, which is compressed; pack it again");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            io::copy(&mut entry, &mut io::sink())?;
            drop(entry);
            self.sound.insert(index);
        }
        let mut entry = self.zip.by_index_seek(index).map_err(io::Error::other)?;
        read_part(&mut entry, part)
    }
}

/// Reads a part.
///
/// # Errors
/// When it is not there.
pub(super) fn read_part(mut from: impl Read + Seek, part: Range<u64>) -> io::Result<Vec<u8>> {
    from.seek(SeekFrom::Start(part.start))?;
    let len = part.end - part.start;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(len).map_err(io::Error::other)?)?;
    from.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn check<R: Read>(entry: &ZipFile<'_, R>, name: &str) -> Result<(), String> {
    if entry.is_symlink() {
        return Err("is a link".into());
    }
    let parts = name.strip_suffix('/').unwrap_or(name).split(['/', '\\']);
    let is_absolute = name.starts_with(['/', '\\']) || name.contains(':');
    if is_absolute || name.contains('\0') {
        return Err("is an absolute name".into());
    }
    for part in parts {
        if matches!(part, "" | "." | "..") {
            return Err("leads out of the archive".into());
        }
    }
    if name.contains('\\') {
        return Err("has a backslash in its name".into());
    }
    Ok(())
}

/// Programs differ in which of the two they read.
fn twice(name: &str) -> String {
    format!("entry {name:?}: occurs twice; pack the model again")
}

/// The first name that a central directory from `start` on has twice.
fn repeated(mut reader: Box<dyn ReadSeek>, start: u64) -> io::Result<String> {
    reader.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::new(reader);
    let mut seen = HashSet::new();
    loop {
        // A record: 46 bytes with the lengths of three parts, then the parts, the name first.
        let mut record = [0; 46];
        reader.read_exact(&mut record)?;
        let length = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
        let mut name = vec![0; length(28).into()];
        reader.read_exact(&mut name)?;
        reader.seek_relative(i64::from(length(30)) + i64::from(length(32)))?;
        if let Some(name) = seen.replace(name) {
            return Ok(String::from_utf8_lossy(&name).into_owned());
        }
    }
}

#[cfg(test)]
mod tests;
