//! The cache of converted files, the same for all callers: the hub, the command line and Python.
//!
//! A file's name holds everything its content depends on: a digest of the source, the dtype, the
//! version of the format and the version of the converter. A change of any of them makes another
//! file. Files are written atomically, and a lock per file makes a second process wait instead of
//! converting the same source.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use lanerank::format::checksum::xxh64;
use lanerank::format::header::VERSION;
use lanerank::format::storage::{AlignedBytes, Blob};
use lanerank::format::write::write_file;
use lanerank::{Model, Verify};

use crate::convert::{ConvertOptions, WeightDtype};
use crate::error::Error;
use crate::import::{self, ImportError, Options};

/// Levels of subfolders of a source that are checked for changes: `onnx`, `1_Pooling`.
const DEPTH: usize = 2;

/// Why a model could not be taken from the cache or converted into it.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheError {
    /// The cache or the source could not be read or written.
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The source could not be read.
    Import(ImportError),
    /// The source could not be converted, or the converted file could not be opened.
    Convert(Error),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CacheError::Disk { path, source } => write!(f, "{}: {source}", path.display()),
            CacheError::Import(e) => write!(f, "{e}"),
            CacheError::Convert(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for CacheError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CacheError::Disk { source, .. } => Some(source),
            CacheError::Import(e) => Some(e),
            CacheError::Convert(e) => Some(e),
        }
    }
}

impl From<ImportError> for CacheError {
    fn from(e: ImportError) -> Self {
        CacheError::Import(e)
    }
}

impl From<Error> for CacheError {
    fn from(e: Error) -> Self {
        CacheError::Convert(e)
    }
}

/// A folder of converted files.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in this folder, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Cache {
        Cache {
            folder: folder.into(),
        }
    }

    /// The entry of a model folder, archive or file on this machine. Its digest is made from the path
    /// and from the names, sizes and modification times of the files.
    ///
    /// # Errors
    /// [`CacheError::Disk`] where the source does not exist.
    pub fn of_path(&self, source: &Path, dtype: WeightDtype) -> Result<Entry, CacheError> {
        let canonical = fs::canonicalize(source).map_err(disk(source))?;
        let mut state = format!("{}\n", canonical.display());
        describe(&canonical, DEPTH, &mut state)?;
        let stem = canonical.file_stem().unwrap_or_default().to_string_lossy();
        let key = format!("{stem}-{:016x}", xxh64(state.as_bytes()));
        Ok(self.entry(&key, source, dtype, None))
    }

    /// The entry of a source whose content has a digest, which is in `key`. `origin` is stored in the
    /// file as the note `source`.
    pub(crate) fn entry(
        &self,
        key: &str,
        source: &Path,
        dtype: WeightDtype,
        origin: Option<String>,
    ) -> Entry {
        let version = env!("CARGO_PKG_VERSION");
        let name = format!("{key}-{dtype}-v{VERSION}-{version}.lane");
        Entry {
            path: self.folder.join(name),
            source: source.to_owned(),
            dtype,
            origin,
        }
    }
}

/// A source in one dtype: the converted file, and how to make it.
#[derive(Debug, Clone)]
pub struct Entry {
    path: PathBuf,
    source: PathBuf,
    dtype: WeightDtype,
    origin: Option<String>,
}

/// A model from the cache.
pub struct Opened {
    /// The model.
    pub model: Model,
    /// Whether its file is in the cache. If the disk refused the file, the model is in memory only.
    pub kept: Result<(), CacheError>,
}

impl Entry {
    /// The path of the converted file, which need not exist.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the converted file, which is made if it does not exist. Its content is not
    /// verified. `progress` is called as in [`Entry::open`].
    ///
    /// # Errors
    /// When the source cannot be converted, or the disk refuses the file.
    pub fn file(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<&Path, CacheError> {
        if !self.path.is_file() {
            let _lock = self.lock()?;
            // Another process may have converted it meanwhile.
            if !self.path.is_file() {
                let file = self.convert(progress)?;
                self.write(&file)?;
            }
        }
        Ok(&self.path)
    }

    /// Opens the converted file with all checksums verified. Converts the source if the file is
    /// missing or damaged; `progress` is then called with `(0, 0)` before the source is read, and
    /// afterwards with the number of weights done and the number of all weights.
    ///
    /// # Errors
    /// When the source cannot be converted.
    pub fn open(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<Opened, CacheError> {
        let kept = |model| Opened {
            model,
            kept: Ok(()),
        };
        if let Ok(model) = Model::open(&self.path) {
            return Ok(kept(model));
        }
        let lock = self.lock();
        // Another process may have converted it meanwhile.
        if lock.is_ok()
            && let Ok(model) = Model::open(&self.path)
        {
            return Ok(kept(model));
        }
        let file = self.convert(progress)?;
        let kept = lock.and_then(|_lock| self.write(&file));
        let model = Model::from_blob(Blob::from_aligned(file), Verify::Structure);
        Ok(Opened {
            model: model.map_err(Error::from)?,
            kept,
        })
    }

    fn lock(&self) -> Result<File, CacheError> {
        lock(&self.path.with_extension("lock"))
    }

    fn convert(&self, progress: &mut dyn FnMut(usize, usize)) -> Result<AlignedBytes, CacheError> {
        progress(0, 0);
        let origin = self.origin.iter();
        let options = ConvertOptions {
            dtype: self.dtype,
            metadata: origin.map(|o| ("source".into(), o.clone())).collect(),
            ..ConvertOptions::default()
        };
        let mut source = import::open(&self.source, &Options::default())?;
        Ok(source.convert(&options, progress)?)
    }

    fn write(&self, file: &[u8]) -> Result<(), CacheError> {
        Ok(write_file(&self.path, file).map_err(Error::from)?)
    }
}

/// Adds a line for each file: its name, size and time of change.
fn describe(path: &Path, depth: usize, state: &mut String) -> Result<(), CacheError> {
    let metadata = fs::metadata(path).map_err(disk(path))?;
    if !metadata.is_dir() {
        let changed = metadata.modified().ok();
        let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanos = since.map_or(0, |time| time.as_nanos());
        let len = metadata.len();
        state.push_str(&format!("{} {len} {nanos}\n", path.display()));
        return Ok(());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(disk(path))? {
        paths.push(entry.map_err(disk(path))?.path());
    }
    paths.sort();
    let (files, folders): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| !path.is_dir());
    let folders = folders.into_iter().filter(|_| depth > 0);
    files
        .into_iter()
        .chain(folders)
        .try_for_each(|path| describe(&path, depth.saturating_sub(1), state))
}

/// Waits for an exclusive lock on a file of this name. The lock is held until the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, CacheError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(disk(parent))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(disk(path))?;
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) => file.lock(),
        Err(TryLockError::Error(e)) => Err(e),
        Ok(()) => Ok(()),
    };
    match locked {
        // Some network file systems have no locks. Without one the work may be done twice, but files
        // still appear whole or not at all.
        Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(disk(path)(e)),
        _ => Ok(file),
    }
}

/// For `map_err` on work with a file.
fn disk(path: &Path) -> impl FnOnce(io::Error) -> CacheError + '_ {
    |source| CacheError::Disk {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/sources/model")
    }

    #[test]
    fn converted_once_and_again_after_damage() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        let entry = cache.of_path(&source(), WeightDtype::F16).unwrap();
        let mut calls = Vec::new();
        let opened = entry
            .open(&mut |done, all| calls.push((done, all)))
            .unwrap();
        assert!(opened.kept.is_ok());
        assert_eq!(calls[..2].iter().map(|c| c.0).sum::<usize>(), 0);
        assert_eq!(
            (calls[0], calls.last()),
            ((0, 0), Some(&(calls[1].1, calls[1].1)))
        );
        assert_eq!(opened.model.metadata()[0].0, "converter");

        let bytes = fs::read(entry.path()).unwrap();
        let mut none = |_, _| panic!("converted again");
        entry.open(&mut none).unwrap();
        assert_eq!(entry.file(&mut none).unwrap(), entry.path());

        fs::write(entry.path(), &bytes[..bytes.len() - 1]).unwrap();
        entry.open(&mut |_, _| ()).unwrap().kept.unwrap();
        assert_eq!(fs::read(entry.path()).unwrap(), bytes);
    }

    #[test]
    fn a_name_for_each_source_and_dtype() {
        let cache = Cache::new("cache");
        let path = |source: &Path, dtype| cache.of_path(source, dtype).unwrap().path;
        let f16 = path(&source(), WeightDtype::F16);
        assert_eq!(f16, path(&source().join("../model"), WeightDtype::F16));
        assert_ne!(f16, path(&source(), WeightDtype::Int8));
        assert_ne!(
            f16,
            path(&source().join("model.safetensors"), WeightDtype::F16)
        );
        let missing = cache.of_path(&source().join("none"), WeightDtype::F16);
        assert!(matches!(missing, Err(CacheError::Disk { .. })));
    }

    #[test]
    fn a_disk_that_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "no folder").unwrap();
        let entry = Cache::new(&file)
            .of_path(&source(), WeightDtype::Int8)
            .unwrap();
        let opened = entry.open(&mut |_, _| ()).unwrap();
        assert!(matches!(opened.kept, Err(CacheError::Disk { .. })));
        assert!(matches!(
            entry.file(&mut |_, _| ()),
            Err(CacheError::Disk { .. })
        ));
    }
}
