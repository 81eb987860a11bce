//! The served models, and replacing them at run time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use lanerank::kernels::Kernels;
use lanerank::model::Head;
use lanerank::{Encoder, Model, Ranker, Tokenizer};

use crate::error::ServeError;
use crate::settings::{ModelSource, ServeSettings};

/// A model, ready to compute. A request keeps the one it started with.
pub(crate) struct Loaded {
    /// The name that requests use.
    pub(crate) name: String,
    /// Scores passages, on the calling thread only.
    pub(crate) ranker: Ranker,
    /// Computes vectors; `None` for a cross-encoder.
    pub(crate) encoder: Option<Encoder>,
    /// The tokenizer that `ranker` uses.
    pub(crate) tokenizer: Tokenizer,
}

/// Settings for opening a model.
#[derive(Debug, Clone, Copy)]
struct OpenOptions {
    max_length: Option<usize>,
    special_tokens_as_text: bool,
}

/// Tells a new file from the one opened before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

struct Entry {
    source: ModelSource,
    current: RwLock<Arc<Loaded>>,
    /// The last file that was opened or refused.
    stamp: Mutex<Option<Stamp>>,
}

/// All models of a server. The first serves requests that name none.
pub(crate) struct Models {
    entries: Vec<Entry>,
    options: OpenOptions,
    /// Unknown names get the first model.
    any: bool,
}

/// The outcome of opening a changed file.
#[derive(Debug)]
pub(crate) enum Reload {
    /// The new model is in use.
    Taken,
    /// The new file is bad; the old model stays in use.
    Refused(ServeError),
}

impl Models {
    /// Opens and checks all models.
    ///
    /// # Errors
    /// Names the first model that cannot be served.
    pub(crate) fn open(settings: &ServeSettings) -> Result<Models, ServeError> {
        let options = OpenOptions {
            max_length: settings.max_length,
            special_tokens_as_text: settings.special_tokens_as_text,
        };
        let open = |source: &ModelSource| {
            let stamp = stamp(source);
            Ok(Entry {
                current: RwLock::new(Arc::new(options.load(source)?)),
                stamp: Mutex::new(stamp),
                source: source.clone(),
            })
        };
        Ok(Models {
            entries: settings.models.iter().map(open).collect::<Result<_, _>>()?,
            options,
            any: settings.any_model,
        })
    }

    /// The model that a request names, or the first if it names none.
    pub(crate) fn get(&self, name: Option<&str>) -> Option<Arc<Loaded>> {
        let entry = match name {
            None => self.entries.first(),
            Some(name) => {
                let known = self.entries.iter().find(|entry| entry.source.name == name);
                known.or_else(|| self.entries.first().filter(|_| self.any))
            }
        };
        entry.map(Entry::get)
    }

    /// The models' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.source.name.as_str())
    }

    /// Opens and checks every changed file, or every file if `all`. A good file replaces the old
    /// model; running requests keep the old one.
    pub(crate) fn reload(&self, all: bool) -> Vec<(&str, Reload)> {
        let mut outcomes = Vec::new();
        for entry in &self.entries {
            let Some(path) = &entry.source.path else {
                continue;
            };
            // Taken before opening: a file that changes meanwhile is opened again next time.
            let stamp = stamp(&entry.source);
            let mut known = entry.stamp.lock().unwrap_or_else(|e| e.into_inner());
            if !all && *known == stamp {
                continue;
            }
            *known = stamp;
            tracing::debug!(model = entry.source.name, path = %path.display(), "reloading");
            let outcome = match self.options.load(&entry.source) {
                Ok(loaded) => {
                    let mut current = entry.current.write().unwrap_or_else(|e| e.into_inner());
                    *current = Arc::new(loaded);
                    Reload::Taken
                }
                Err(e) => Reload::Refused(e),
            };
            outcomes.push((entry.source.name.as_str(), outcome));
        }
        outcomes
    }
}

impl Entry {
    fn get(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(|e| e.into_inner()))
    }
}

impl OpenOptions {
    /// Reads the file into memory, so that later changes to it do no harm, and checks all of it:
    /// checksums, weights, and the self-test's scores on this machine.
    fn load(self, source: &ModelSource) -> Result<Loaded, ServeError> {
        self.try_load(source).map_err(|e| ServeError::Model {
            name: source.name.clone(),
            path: source.path.clone(),
            source: e,
        })
    }

    fn try_load(self, source: &ModelSource) -> Result<Loaded, lanerank::Error> {
        let model = match &source.path {
            Some(path) => Model::open(path)?,
            None => Model::embedded()?,
        };
        model.check(Kernels::from_env()?)?;
        let mut ranker = Ranker::builder().opened(model.clone()).threads(1);
        let mut encoder = Encoder::builder().opened(model.clone()).threads(1);
        if let Some(tokens) = self.max_length {
            ranker = ranker.max_length(tokens);
            encoder = encoder.max_length(tokens);
        }
        let as_text = self.special_tokens_as_text;
        let encoder = match model.config().head {
            Head::Encoder { .. } => Some(encoder.special_tokens_as_text(as_text).build()?),
            _ => None,
        };
        Ok(Loaded {
            name: source.name.clone(),
            ranker: ranker.special_tokens_as_text(as_text).build()?,
            encoder,
            tokenizer: model.tokenizer().clone().special_tokens_as_text(as_text),
        })
    }
}

fn stamp(source: &ModelSource) -> Option<Stamp> {
    let path: &PathBuf = source.path.as_ref()?;
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Stamp {
        modified: metadata.modified().ok(),
        len: metadata.len(),
        inode,
    })
}
