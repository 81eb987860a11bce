//! Reads zip archives without unpacking them to disk.
//!
//! An archive is refused as a whole if an entry's name leads out of it, is absolute or is a link,
//! or if it holds far more than its bytes can. Unpacking it elsewhere would be dangerous, and no
//! model is packed like this.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};

use zip::ZipArchive;
use zip::read::ZipFile;

/// The source of an archive's bytes.
pub(super) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

/// Archives of models have about ten entries; those of checkpoints have one per tensor.
const MAX_ENTRIES: usize = 1 << 16;
/// Longest entry.
const MAX_ENTRY: u64 = 4 << 30;
/// Text packs to a tenth, weights hardly at all. Entries up to `SMALL` bytes may pack to anything.
const MAX_RATIO: u64 = 100;
const SMALL: u64 = 4 << 20;

/// An archive whose entries were checked.
pub(super) struct Archive {
    zip: ZipArchive<Box<dyn ReadSeek>>,
    /// Index of each file by its name.
    files: BTreeMap<String, usize>,
}

impl Archive {
    /// Opens an archive and checks all of its entries. `len` is the length of the source.
    ///
    /// # Errors
    /// When it is not a zip archive, or holds something that is refused.
    pub(super) fn open(reader: Box<dyn ReadSeek>, len: u64) -> Result<Self, String> {
        let zip = ZipArchive::new(reader).map_err(|e| e.to_string())?;
        let mut archive = Archive {
            zip,
            files: BTreeMap::new(),
        };
        let count = archive.zip.len();
        if count > MAX_ENTRIES {
            return Err(format!("{count} entries; at most {MAX_ENTRIES} are read"));
        }
        let mut packed = 0u64;
        for index in 0..count {
            let entry = archive.zip.by_index_raw(index).map_err(|e| e.to_string())?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            check(&entry, &name).map_err(|reason| format!("entry {name:?}: {reason}"))?;
            packed = packed.saturating_add(entry.compressed_size());
            if entry.is_dir() {
                continue;
            }
            drop(entry);
            if archive.files.insert(name.clone(), index).is_some() {
                return Err(format!("entry {name:?}: occurs twice"));
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
        let index = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let mut entry = self.zip.by_index(*index).map_err(io::Error::other)?;
        let len = entry.size();
        let mut content = Vec::new();
        (&mut entry).take(len + 1).read_to_end(&mut content)?;
        if content.len() as u64 == len {
            Ok(content)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("entry {name:?} does not have the announced length of {len} bytes"),
            ))
        }
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
    let (size, packed) = (entry.size(), entry.compressed_size());
    if size > MAX_ENTRY {
        return Err(format!("{size} bytes; at most {MAX_ENTRY} are read"));
    }
    if size > SMALL && size / MAX_RATIO > packed {
        return Err(format!(
            "claims to be {size} bytes packed in {packed}; no model compresses that well"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
