//! The files of a model, from a folder or a zip archive.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::archive::{Archive, ReadSeek};
use super::budget::{Budget, LONGEST_TEXT};
use super::error::ImportError;
use super::{nonfinite, pointer, refusals};

/// An open file.
pub(super) struct Opened {
    /// The path. A file in an archive is named as if the archive were a folder.
    pub path: PathBuf,
    /// The content.
    pub reader: Box<dyn ReadSeek>,
    /// Its length in bytes.
    pub len: u64,
    /// What its reader may hold.
    pub budget: Budget,
}

impl Opened {
    /// Opens a file on disk, with a budget of its own.
    ///
    /// # Errors
    /// When it cannot be read, or is a Git LFS pointer.
    pub(super) fn disk(path: &Path) -> Result<Opened, ImportError> {
        let wrong = |e| ImportError::at(path, e);
        let mut file = File::open(path).map_err(wrong)?;
        let len = file.metadata().map_err(wrong)?.len();
        if (pointer::START_LEN as u64..=pointer::MAX_LEN).contains(&len) {
            let mut start = [0; pointer::START_LEN];
            file.read_exact(&mut start).map_err(wrong)?;
            pointer::check(path, &start)?;
            file.rewind().map_err(wrong)?;
        }
        Ok(Opened {
            path: path.to_owned(),
            reader: Box::new(file),
            len,
            budget: Budget::of(len),
        })
    }
}

/// The files of a model, by their paths within its folder.
pub(super) struct Files {
    root: PathBuf,
    archive: Option<RefCell<Archive>>,
    /// Prefix of every name in the archive.
    prefix: String,
    /// What the readers of these files may hold.
    budget: Budget,
    /// Files whose bytes the budget counts.
    counted: RefCell<BTreeSet<PathBuf>>,
}

impl Files {
    /// A folder on disk.
    pub(super) fn folder(path: &Path) -> Files {
        Files {
            root: path.to_owned(),
            archive: None,
            prefix: String::new(),
            budget: Budget::of(0),
            counted: RefCell::default(),
        }
    }

    /// A zip archive. The model's folder is the one with `config.json`.
    ///
    /// # Errors
    /// When it cannot be read, or has no such folder or several.
    pub(super) fn archive(path: &Path) -> Result<Files, ImportError> {
        let opened = Opened::disk(path)?;
        let wrong = |reason: String| ImportError::at(path, reason);
        let budget = opened.budget;
        let archive = Archive::open(opened.reader, opened.len, &budget).map_err(wrong)?;
        let names = archive.names().filter(|name| !is_litter(name));
        let configs = names.filter_map(|name| match name.rsplit_once('/') {
            None => (name == "config.json").then_some(""),
            Some((folder, file)) => (file == "config.json").then_some(folder),
        });
        // Parts of a model, such as 1_Pooling, have their own config.json.
        let depth = |folder: &&str| {
            if folder.is_empty() {
                0
            } else {
                1 + folder.matches('/').count()
            }
        };
        let mut configs: Vec<&str> = configs.collect();
        configs.sort_by_key(depth);
        let prefix = match configs[..] {
            [] if archive
                .names()
                .any(|name| name.ends_with(refusals::ADAPTER_CONFIG)) =>
            {
                return Err(wrong(refusals::adapter()));
            }
            [] => return Err(wrong("no config.json in this archive".into())),
            [first, second, ..] if depth(&first) == depth(&second) => {
                return Err(wrong(format!(
                    "several models, {first:?} and {second:?}; unpack it and name one folder"
                )));
            }
            ["", ..] => String::new(),
            [first, ..] => format!("{first}/"),
        };
        Ok(Files {
            root: path.to_owned(),
            archive: Some(RefCell::new(archive)),
            prefix,
            budget,
            counted: RefCell::default(),
        })
    }

    /// The folder or archive.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a file for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        match self.archive {
            Some(_) => self.root.join(&self.prefix).join(name),
            None => self.root.join(name),
        }
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        match &self.archive {
            Some(archive) => archive.borrow().has(&format!("{}{name}", self.prefix)),
            None => self.root.join(name).is_file(),
        }
    }

    /// The files outside subfolders, sorted, without those that operating systems leave behind.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.archive {
            Some(archive) => {
                let archive = archive.borrow();
                let here = archive
                    .names()
                    .filter_map(|name| name.strip_prefix(&self.prefix));
                here.filter(|name| !name.contains('/'))
                    .map(str::to_owned)
                    .collect()
            }
            None => {
                let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
                let files = entries.filter(|entry| entry.path().is_file());
                files
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .collect()
            }
        };
        names.retain(|name| !is_litter(name));
        names.sort();
        names
    }

    /// Opens a file. A file in an archive is unpacked to memory.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub(super) fn open(&self, name: &str) -> Result<Opened, ImportError> {
        let path = self.path(name);
        if self.archive.is_none() {
            return self.on_disk(&path);
        }
        let content = self.unpack(name, &path)?;
        pointer::check(&path, &content)?;
        Ok(Opened {
            path,
            len: content.len() as u64,
            reader: Box::new(Cursor::new(content)),
            budget: self.budget.clone(),
        })
    }

    /// Opens a file on disk. The budget counts its bytes once.
    fn on_disk(&self, path: &Path) -> Result<Opened, ImportError> {
        let opened = Opened::disk(path)?;
        if self.counted.borrow_mut().insert(path.to_owned()) {
            self.budget.grow(opened.len);
        }
        Ok(Opened {
            budget: self.budget.clone(),
            ..opened
        })
    }

    /// A file of the archive.
    fn unpack(&self, name: &str, path: &Path) -> Result<Vec<u8>, ImportError> {
        let Some(archive) = &self.archive else {
            return Err(ImportError::at(path, "is not in an archive"));
        };
        let (mut archive, name) = (archive.borrow_mut(), format!("{}{name}", self.prefix));
        let len = archive.len_of(&name).unwrap_or(0);
        let taken = self.budget.take(len);
        taken.map_err(|reason| ImportError::at(path, reason))?;
        archive.read(&name).map_err(|e| ImportError::at(path, e))
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// When it does not exist, cannot be read, or is much longer than the text files of a model.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, ImportError> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        if self.archive.is_some() {
            bytes = self.unpack(name, &path)?;
        } else {
            let opened = self.on_disk(&path)?;
            let read = opened.reader.take(LONGEST_TEXT + 1).read_to_end(&mut bytes);
            read.map_err(|e| ImportError::at(&path, e))?;
        }
        if bytes.len() as u64 <= LONGEST_TEXT {
            Ok(bytes)
        } else {
            let reason = format!("longer than {LONGEST_TEXT} bytes");
            Err(ImportError::at(&path, reason))
        }
    }

    /// Reads a file as UTF-8.
    ///
    /// # Errors
    /// As [`Files::read`], and when it is not UTF-8.
    fn read_utf8(&self, name: &str) -> Result<String, ImportError> {
        String::from_utf8(self.read(name)?).map_err(|e| {
            if matches!(e.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
                return ImportError::at(self.path(name), "is UTF-16; save it as UTF-8");
            }
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|&&b| b == b'\n').count() as u64;
            ImportError::at_line(self.path(name), line, "not UTF-8")
        })
    }

    /// Reads a vocabulary, one piece per line.
    ///
    /// # Errors
    /// As [`Files::read`], when it is not UTF-8, and when its pieces would take more than the
    /// budget.
    pub(super) fn read_lines(&self, name: &str) -> Result<String, ImportError> {
        let text = self.read_utf8(name)?;
        let taken = self.budget.lines(text.as_bytes());
        taken.map_err(|reason| ImportError::at(self.path(name), reason))?;
        Ok(text)
    }

    /// Reads a JSON file as text, for parsers that borrow from it: UTF-8, with or without a byte
    /// order mark.
    ///
    /// # Errors
    /// As [`Files::read`], when it is not UTF-8, and when its values would take more than the
    /// budget.
    pub(super) fn read_text(&self, name: &str) -> Result<String, ImportError> {
        let mut text = self.read_utf8(name)?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let taken = self.budget.json(text.as_bytes());
        taken.map_err(|reason| ImportError::at(self.path(name), reason))?;
        Ok(text)
    }

    /// Reads a JSON file. `NaN` and `Infinity`, which Python writes, may stand where no field is
    /// read; an infinite float is a very large one.
    ///
    /// # Errors
    /// As [`Files::read_text`], and when it is not the expected JSON.
    pub(super) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, ImportError> {
        let text = self.read_text(name)?;
        serde_json::from_str(&nonfinite::replaced(&text)).map_err(|e| {
            match nonfinite::fault(&text, &e) {
                Some((line, reason)) => ImportError::at_line(self.path(name), line, reason),
                None => ImportError::json(self.path(name), &e),
            }
        })
    }

    /// Reads a JSON file if it exists.
    ///
    /// # Errors
    /// As [`Files::read_json`].
    pub(super) fn read_json_if_there<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, ImportError> {
        self.has(name).then(|| self.read_json(name)).transpose()
    }
}

/// Files that macOS and Windows add to folders and archives.
fn is_litter(name: &str) -> bool {
    let mut parts = name.split('/');
    name.starts_with("__MACOSX/")
        || parts.any(|part| part.starts_with("._") || part == ".DS_Store" || part == "Thumbs.db")
}

#[cfg(test)]
mod tests;
