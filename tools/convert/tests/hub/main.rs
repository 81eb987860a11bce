//! Models by name, from a hub on this machine.

mod cache;
mod faults;
mod pretrained;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanerank_convert::hub::{Hub, HubError, ModelId, Settings, Snapshot};
use lanerank_testing::hub::{self, Server};
use tempfile::TempDir;

pub(crate) const REPOSITORY: &str = "org/tiny";

/// The files of a model that can be converted.
pub(crate) fn model_files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/model/old-names");
    let names = ["config.json", "model.safetensors", "vocab.txt"];
    let mut files: Vec<_> = names
        .map(|name| (name.to_owned(), fs::read(folder.join(name)).unwrap()))
        .into();
    files.push((
        "tokenizer_config.json".into(),
        b"{\"do_lower_case\": true}".to_vec(),
    ));
    files.push(("README.md".into(), b"not needed".to_vec()));
    files
}

/// A hub with the model, and an empty cache.
pub(crate) struct Setup {
    pub server: Server,
    pub folder: TempDir,
    pub id: ModelId,
}

impl Setup {
    pub(crate) fn new() -> Setup {
        Setup {
            server: Server::start(REPOSITORY, model_files()),
            folder: tempfile::tempdir().unwrap(),
            id: REPOSITORY.parse().unwrap(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(
            self.folder.path().join("hub"),
            self.folder.path().join("lanes"),
        );
        settings.endpoint = self.server.url.clone();
        settings.pause = Duration::from_millis(1);
        settings
    }

    pub(crate) fn hub(&self) -> Hub {
        Hub::new(self.settings())
    }

    pub(crate) fn pull(&self) -> Result<Snapshot, HubError> {
        self.hub().pull(&self.id, &mut |_| {})
    }

    /// A path in the repository's folder of the cache.
    pub(crate) fn cached(&self, path: &str) -> PathBuf {
        self.folder.path().join("hub/models--org--tiny").join(path)
    }

    /// URLs of the contents requested since the last call.
    pub(crate) fn fetched(&self) -> Vec<String> {
        let seen = self.server.seen().into_iter().map(|seen| seen.path);
        seen.filter(|path| path.contains("/resolve/")).collect()
    }

    pub(crate) fn weights(&self) -> Vec<u8> {
        model_files().remove(1).1
    }

    /// Path of the weights' blob.
    pub(crate) fn blob(&self) -> PathBuf {
        self.cached("blobs").join(hub::sha256(&self.weights()))
    }

    /// Path of the partial download of the weights.
    pub(crate) fn incomplete(&self) -> PathBuf {
        self.blob().with_extension("incomplete")
    }
}

/// Asserts that the snapshot has the files of the model.
pub(crate) fn assert_whole(snapshot: &Snapshot) {
    for (name, content) in model_files() {
        let path = snapshot.folder().join(&name);
        match name.as_str() {
            "README.md" => assert!(!path.exists()),
            _ => assert_eq!(fs::read(path).unwrap(), content, "{name}"),
        }
    }
}
