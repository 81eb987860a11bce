//! Models by name, from the Hugging Face hub and its cache.
//!
//! The cache is the one of Python's `huggingface_hub`: the same environment variables
//! ([`Settings`]), the same layout, and each uses what the other has downloaded. Only [`Hub::pull`]
//! uses the network, and [`Hub::get`] for a model that is not in the cache. Downloads resume, are
//! checked against the digests in the hub's listing, and appear in the cache whole or not at all. A
//! lock makes a second process wait instead of downloading too.
//!
//! A hub is not trusted, nor is who answers in its place. Whatever it sends, a download holds at
//! most 64 MiB (`tests/allocations`): documents end after 8 MiB, a listing after 20 pages and 2000
//! files of a model, and files go to the disk as they arrive, to the size that is listed. A text
//! file is refused if more than 256 MiB are listed, which is what the converter reads; weights have
//! no such limit. Redirects end after ten.
//!
//! ```no_run
//! use lanerank_convert::convert::WeightDtype;
//! use lanerank_convert::hub::Hub;
//!
//! let hub = Hub::from_env()?;
//! let snapshot = hub.pull(&"ms-marco-TinyBERT-L-2-v2".parse()?, &mut |_| {})?;
//! let file = hub.lane(&snapshot, WeightDtype::F16, &mut |_, _| {})?;
//! println!("{}", file.display());
//! # Ok::<(), lanerank_convert::hub::HubError>(())
//! ```

mod cache;
mod client;
mod digest;
mod download;
mod error;
mod files;
mod id;
mod lane;
mod listing;
pub mod registry;
mod settings;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use error::HubError;
pub use id::ModelId;
pub use lane::ranker;
pub use settings::Settings;

use cache::Repository;
use client::{Client, protocol};
use digest::Digest;
use download::Listed;

/// Most pages of a repository's listing. A page has a thousand files.
const MAX_PAGES: usize = 20;

/// Progress of a download.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The current file.
    pub file: &'a str,
    /// Bytes of all files so far.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// A model's files in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    repository: String,
    folder: PathBuf,
    commit: String,
    files: Vec<String>,
}

impl Snapshot {
    /// The folder, in the layout of the repository.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Paths within the folder of the files that make up the model.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// A digest of the content of those files.
    fn digest(&self) -> Result<String, HubError> {
        let mut list = String::new();
        for file in &self.files {
            let path = self.folder.join(file);
            let blob = std::fs::read_link(&path).ok().and_then(|link| {
                let name = link.file_name()?.to_str()?.to_owned();
                Digest::parse(&name)
            });
            let digest = match blob {
                Some(digest) => digest.as_str().to_owned(),
                // A copy: the cache has one where links are not possible.
                None => digest::sha256_of(&path).map_err(HubError::disk(&path))?,
            };
            list.push_str(&format!("{digest} {file}\n"));
        }
        Ok(digest::sha256(list.as_bytes()))
    }
}

/// The hub, its cache, and the cache of converted files.
pub struct Hub {
    settings: Settings,
    client: Client,
}

impl Hub {
    /// The hub with the settings of the environment.
    ///
    /// # Errors
    /// [`HubError::Setting`].
    pub fn from_env() -> Result<Hub, HubError> {
        Ok(Hub::new(Settings::from_env()?))
    }

    /// The hub with these settings.
    pub fn new(settings: Settings) -> Hub {
        Hub {
            client: Client::new(&settings),
            settings,
        }
    }

    /// The settings in use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The model in the cache, if all of it is there. Never uses the network.
    pub fn find(&self, id: &ModelId) -> Option<Snapshot> {
        id.repositories().find_map(|name| {
            let repository = Repository::new(&self.settings.cache, name);
            let commit = repository.commit(id.revision())?;
            let folder = repository.snapshot(&commit);
            let paths = files::list(&folder);
            let files = files::select(&paths).ok()?;
            let has = |name: &str| paths.iter().any(|path| path == name);
            // An incomplete snapshot would be misread: without the first file we would guess the
            // case, without the second the pooling.
            let known = |name: &str| has(name) || repository.is_absent(&commit, name);
            let whole = (has("tokenizer.json") || known("tokenizer_config.json"))
                && (!has("modules.json") || known("1_Pooling/config.json"));
            whole.then_some(Snapshot {
                repository: name.to_owned(),
                folder,
                commit,
                files,
            })
        })
    }

    /// The model from the cache, otherwise from the hub.
    ///
    /// # Errors
    /// As [`Hub::pull`].
    pub fn get(
        &self,
        id: &ModelId,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Snapshot, HubError> {
        match self.find(id) {
            Some(snapshot) => Ok(snapshot),
            None => self.pull(id, progress),
        }
    }

    /// Updates the cache from the hub: asks for the commit of the revision, verifies the files in
    /// the cache and downloads those that are missing. With `HF_HUB_OFFLINE` set, takes the model
    /// from the cache.
    ///
    /// # Errors
    /// Errors of the hub, the connection or the disk. Partial downloads are resumed next time, and
    /// a revision that was complete before stays usable.
    pub fn pull(
        &self,
        id: &ModelId,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Snapshot, HubError> {
        if self.settings.offline {
            let offline = || HubError::Offline {
                model: id.to_string(),
            };
            return self.find(id).ok_or_else(offline);
        }
        let commit = self.commit(id)?;
        let listing = self.listing(id, &commit)?;
        let paths: Vec<String> = listing.iter().map(|file| file.path.clone()).collect();
        let selected = files::select(&paths).map_err(|reason| HubError::NoModel {
            model: id.to_string(),
            reason,
        })?;
        let wanted: Vec<&Listed> = listing
            .iter()
            .filter(|file| selected.contains(&file.path))
            .collect();
        check_known(id, &wanted)?;
        let repository = Repository::new(&self.settings.cache, id.repository());
        self.fetch(id, &commit, &wanted, &repository, progress)?;
        for name in files::absent(&paths) {
            repository.mark_absent(&commit, name)?;
        }
        // Last, so that a branch always points to a complete snapshot.
        repository.set_commit(id.revision(), &commit)?;
        Ok(Snapshot {
            repository: id.repository().to_owned(),
            folder: repository.snapshot(&commit),
            commit,
            files: selected,
        })
    }

    /// Downloads the files that the cache lacks, and links all files into the snapshot.
    fn fetch(
        &self,
        id: &ModelId,
        commit: &str,
        files: &[&Listed],
        repository: &Repository,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        let sizes = files.iter().map(|file| file.size);
        let total = sizes.fold(0, u64::saturating_add);
        let mut before: u64 = 0;
        for file in files {
            let path = format!("{}/resolve/{commit}/{}", id.repository(), file.path);
            let mut report = |done| {
                progress(Progress {
                    file: &file.path,
                    done: before.saturating_add(done),
                    total,
                });
            };
            let url = self.client.url(&path);
            download::fetch(&self.client, &url, file, repository, &mut report)?;
            repository.link(commit, &file.path, &file.digest)?;
            before = before.saturating_add(file.size);
        }
        Ok(())
    }

    /// The hub's commit of the model's revision.
    fn commit(&self, id: &ModelId) -> Result<String, HubError> {
        if cache::is_commit(id.revision()) {
            return Ok(id.revision().to_owned());
        }
        #[derive(Deserialize)]
        struct Revision {
            sha: String,
        }
        let revision = id.revision().replace('/', "%2F");
        let url = self.client.url(&format!(
            "api/models/{}/revision/{revision}",
            id.repository()
        ));
        let (bytes, _) = self.client.json(&url)?;
        let Revision { sha } = parse(&url, &bytes)?;
        if cache::is_commit(&sha) {
            Ok(sha)
        } else {
            Err(protocol(&url, "sha is not a commit"))
        }
    }

    /// The commit's files that belong to a model.
    fn listing(&self, id: &ModelId, commit: &str) -> Result<Vec<Listed>, HubError> {
        let first = self.client.url(&format!(
            "api/models/{}/tree/{commit}?recursive=true",
            id.repository()
        ));
        let mut next = Some(first.clone());
        let mut files = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next else { return Ok(files) };
            let (bytes, more) = self.client.json(&url)?;
            listing::read(&first, &bytes, &mut files)?;
            next = more;
        }
        Err(protocol(&first, "too many files"))
    }
}

fn parse<'a, T: Deserialize<'a>>(url: &str, bytes: &'a [u8]) -> Result<T, HubError> {
    serde_json::from_slice(bytes).map_err(|e| protocol(url, e))
}

/// Checks the listing of a registered model against the registry.
fn check_known(id: &ModelId, files: &[&Listed]) -> Result<(), HubError> {
    let Some(entry) = id
        .registered()
        .filter(|entry| entry.revision == id.revision())
    else {
        return Ok(());
    };
    for known in entry.files {
        let Some(file) = files.iter().find(|file| file.path == known.path) else {
            continue;
        };
        if let Some(sha256) = known.sha256
            && file.digest != Digest::Sha256(sha256.to_owned())
        {
            return Err(HubError::Corrupt {
                url: format!("{}/{}", id.repository(), file.path),
                expected: sha256.to_owned(),
                received: file.digest.as_str().to_owned(),
            });
        }
        if let Some(size) = known.size.filter(|&size| size != file.size) {
            return Err(HubError::Truncated {
                url: format!("{}/{}", id.repository(), file.path),
                received: file.size,
                expected: size,
            });
        }
    }
    Ok(())
}
