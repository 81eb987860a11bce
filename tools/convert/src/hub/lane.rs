//! From a snapshot to a model file, once.

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::format::header::VERSION;
use lanerank::format::write::write_file;
use lanerank::{Model, Ranker};

use super::{Hub, HubError, ModelId, Snapshot, cache};
use crate::convert::{ConvertOptions, WeightDtype, convert};
use crate::import::{self, Options};

/// Digits of the source's digest that stand in a file's name.
const DIGITS: usize = 16;

impl Hub {
    /// The snapshot as a model file, converted if that was not done yet: `progress` is given the
    /// weights done and all. The file is named by the digest of the source, the dtype, the version
    /// of the format and the converter, so that no change of any of them finds an old one.
    ///
    /// # Errors
    /// What is wrong with the source, or with the disk.
    pub fn lane(
        &self,
        snapshot: &Snapshot,
        dtype: WeightDtype,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<PathBuf, HubError> {
        let path = self.lane_path(snapshot, dtype)?;
        if !path.is_file() {
            let _lock = cache::lock(&path.with_extension("lock"))?;
            // Another process may have converted it while this one waited.
            if !path.is_file() {
                write_lane(snapshot, dtype, &path, progress)?;
            }
        }
        Ok(path)
    }

    /// Opens the model file, all checksums verified; one that was damaged since is made anew.
    ///
    /// # Errors
    /// As [`Hub::lane`].
    pub fn open(
        &self,
        snapshot: &Snapshot,
        dtype: WeightDtype,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Model, HubError> {
        let path = self.lane(snapshot, dtype, progress)?;
        if let Ok(model) = Model::open(&path) {
            return Ok(model);
        }
        let _lock = cache::lock(&path.with_extension("lock"))?;
        write_lane(snapshot, dtype, &path, progress)?;
        Ok(Model::open(&path)?)
    }

    /// The repositories of which there are model files, each with its files.
    pub fn converted(&self) -> Vec<(String, Vec<PathBuf>)> {
        let mut models: Vec<_> = entries(&self.settings().converted)
            .filter_map(|folder| {
                let name = folder.file_name()?.to_str()?.strip_prefix("models--")?;
                let (org, name) = name.split_once("--")?;
                let mut files: Vec<_> = entries(&folder).filter(|file| is_lane(file)).collect();
                files.sort();
                (!files.is_empty()).then(|| (format!("{org}/{name}"), files))
            })
            .collect();
        models.sort();
        models
    }

    /// Removes a model, all revisions of it: its model files, and unless `keep_source` says
    /// otherwise its folder in the hub's cache. Says which folders there were.
    ///
    /// # Errors
    /// [`HubError::Disk`].
    pub fn remove(&self, id: &ModelId, keep_source: bool) -> Result<Vec<PathBuf>, HubError> {
        let mut removed = Vec::new();
        for name in id.repositories() {
            let repository = cache::Repository::new(&self.settings().cache, name);
            let lanes = self.lane_folder(name);
            if lanes.is_dir() {
                cache::remove_folder(&lanes)?;
                removed.push(lanes);
            }
            if !keep_source && repository.folder().is_dir() {
                repository.remove()?;
                removed.push(repository.folder().to_path_buf());
            }
        }
        Ok(removed)
    }

    fn lane_folder(&self, repository: &str) -> PathBuf {
        self.settings()
            .converted
            .join(cache::folder_name(repository))
    }

    fn lane_path(&self, snapshot: &Snapshot, dtype: WeightDtype) -> Result<PathBuf, HubError> {
        let digest = snapshot.digest()?;
        let name = format!(
            "{}-{dtype}-v{VERSION}-{}.lane",
            &digest[..DIGITS],
            env!("CARGO_PKG_VERSION")
        );
        Ok(self.lane_folder(&snapshot.repository).join(name))
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

fn is_lane(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "lane")
}

fn write_lane(
    snapshot: &Snapshot,
    dtype: WeightDtype,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(), HubError> {
    let mut source = import::open(snapshot.folder(), &Options::default())?;
    let note = |key: &str, value: String| (key.to_owned(), value);
    let options = ConvertOptions {
        dtype,
        metadata: vec![
            note(
                "converter",
                format!("lanerank {}", env!("CARGO_PKG_VERSION")),
            ),
            note(
                "source",
                format!("{}@{}", snapshot.repository, snapshot.commit),
            ),
        ],
        ..ConvertOptions::default()
    };
    let file = convert(
        &source.config,
        &source.tokenizer,
        &mut *source.tensors,
        &options,
        progress,
    )?;
    Ok(write_file(path, &file)?)
}

/// A ranker for a registered model ([`registry`](super::registry)) or any `org/name[@revision]` on
/// the Hugging Face hub, in int8.
///
/// The model is taken from the cache; where it is not there, it is downloaded and converted. The
/// environment says where the cache is ([`Settings`](super::Settings)); `HF_HUB_OFFLINE=1` forbids
/// the network. For other dtypes, a progress bar or the newest commit see [`Hub`].
///
/// ```no_run
/// let ranker = lanerank_convert::hub::ranker("ms-marco-TinyBERT-L-2-v2")?;
/// # Ok::<(), lanerank_convert::hub::HubError>(())
/// ```
///
/// # Errors
/// The name is not one, the hub refuses, the connection or the disk fails, or the model is of a kind
/// that lanerank does not run.
pub fn ranker(id: &str) -> Result<Ranker, HubError> {
    let hub = Hub::from_env()?;
    let snapshot = hub.get(&id.parse()?, &mut |_| {})?;
    let model = hub.open(&snapshot, WeightDtype::Int8, &mut |_, _| {})?;
    Ok(Ranker::builder().opened(model).build()?)
}
