//! Converted files of snapshots.

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::{Model, Ranker};

use super::{Hub, HubError, ModelId, Snapshot, cache};
use crate::cache::{Cache, Entry};
use crate::convert::WeightDtype;
use crate::import;

/// Digits of the source's digest in a file's name.
const DIGITS: usize = 16;

impl Hub {
    /// Returns the path of the snapshot's model file, which is converted if it is not in the cache.
    /// Calls `progress` as [`Entry::open`] does.
    ///
    /// # Errors
    /// When the source cannot be converted, or the disk refuses the file.
    pub fn lane(
        &self,
        snapshot: &Snapshot,
        dtype: WeightDtype,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<PathBuf, HubError> {
        let entry = self.entry(snapshot, dtype)?;
        Ok(entry.file(progress)?.to_owned())
    }

    /// Opens the model file with all checksums verified. A damaged file is converted again.
    ///
    /// # Errors
    /// As [`Hub::lane`].
    pub fn open(
        &self,
        snapshot: &Snapshot,
        dtype: WeightDtype,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Model, HubError> {
        let opened = self.entry(snapshot, dtype)?.open(progress)?;
        opened.kept?;
        Ok(opened.model)
    }

    /// The repositories with converted files, and the files of each.
    pub fn converted(&self) -> Vec<(String, Vec<PathBuf>)> {
        let mut models: Vec<_> = entries(&self.settings().converted)
            .filter_map(|folder| {
                let name = folder.file_name()?.to_str()?.strip_prefix("models--")?;
                let (org, name) = name.split_once("--")?;
                let mut files: Vec<_> = entries(&folder)
                    .filter(|file| import::is_lane(file))
                    .collect();
                files.sort();
                (!files.is_empty()).then(|| (format!("{org}/{name}"), files))
            })
            .collect();
        models.sort();
        models
    }

    /// Removes all revisions of a model: its converted files and, unless `keep_source`, its folder
    /// in the hub's cache. Returns the folders that were removed.
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

    fn entry(&self, snapshot: &Snapshot, dtype: WeightDtype) -> Result<Entry, HubError> {
        let digest = snapshot.digest()?;
        let origin = format!("{}@{}", snapshot.repository, snapshot.commit);
        let cache = Cache::new(self.lane_folder(&snapshot.repository));
        Ok(cache.entry(&digest[..DIGITS], snapshot.folder(), dtype, Some(origin)))
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// A ranker for a registered model ([`registry`](super::registry)) or any `org/name[@revision]` on
/// the Hugging Face hub, in int8.
///
/// Takes the model from the cache. If it is not there, downloads and converts it. The environment
/// names the cache ([`Settings`](super::Settings)); `HF_HUB_OFFLINE=1` forbids the network. [`Hub`]
/// has other dtypes, a progress bar and the newest commit.
///
/// ```no_run
/// let ranker = lanerank_convert::hub::ranker("ms-marco-TinyBERT-L-2-v2")?;
/// # Ok::<(), lanerank_convert::hub::HubError>(())
/// ```
///
/// # Errors
/// When the name is not valid, the hub refuses, the connection or the disk fails, or the model is
/// of a kind that lanerank does not run.
pub fn ranker(id: &str) -> Result<Ranker, HubError> {
    let hub = Hub::from_env()?;
    let snapshot = hub.get(&id.parse()?, &mut |_| {})?;
    let model = hub.open(&snapshot, WeightDtype::Int8, &mut |_, _| {})?;
    Ok(Ranker::builder().opened(model).build()?)
}
