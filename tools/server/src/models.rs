//! The models that a server has, and exchanging them while it serves.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use lanerank::kernels::Kernels;
use lanerank::model::Head;
use lanerank::{Encoder, Model, Ranker, Tokenizer};

use crate::settings::ModelSource;
use crate::{ServeError, Settings};

/// A model, ready to compute. Requests hold on to the one they began with.
pub struct Loaded {
    /// What requests call it.
    pub name: String,
    /// Scores passages, on the calling thread alone.
    pub ranker: Ranker,
    /// Makes vectors, where the model is a sentence encoder.
    pub encoder: Option<Encoder>,
    /// As `ranker` reads texts.
    pub tokenizer: Tokenizer,
}

/// How models are opened.
#[derive(Debug, Clone, Copy)]
struct Opening {
    max_length: Option<usize>,
    special_tokens_as_text: bool,
}

/// What distinguishes a file from the one that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

struct Entry {
    source: ModelSource,
    current: RwLock<Arc<Loaded>>,
    /// Of the file that was last opened, or refused.
    stamp: Mutex<Option<Stamp>>,
}

/// All models of a server; the first is the one for requests that name none.
pub struct Models {
    entries: Vec<Entry>,
    opening: Opening,
    any: bool,
}

/// What became of a file that was looked at again.
#[derive(Debug)]
pub enum Reload {
    /// A new model is in use.
    Taken,
    /// The new file is bad; the old model stays.
    Refused(ServeError),
}

impl Models {
    /// Opens and checks all models.
    ///
    /// # Errors
    /// Names the first that cannot be served.
    pub fn open(settings: &Settings) -> Result<Models, ServeError> {
        let opening = Opening {
            max_length: settings.max_length,
            special_tokens_as_text: settings.special_tokens_as_text,
        };
        let open = |source: &ModelSource| {
            let stamp = stamp(source);
            Ok(Entry {
                current: RwLock::new(Arc::new(opening.load(source)?)),
                stamp: Mutex::new(stamp),
                source: source.clone(),
            })
        };
        Ok(Models {
            entries: settings.models.iter().map(open).collect::<Result<_, _>>()?,
            opening,
            any: settings.any_model,
        })
    }

    /// The model that a request names, or the first where it names none.
    pub fn get(&self, name: Option<&str>) -> Option<Arc<Loaded>> {
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
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.source.name.as_str())
    }

    /// Opens and checks the files that have changed since they were last looked at, or all where
    /// `all`; each takes the old one's place if it is in order. Requests under way keep the old one.
    pub fn reload(&self, all: bool) -> Vec<(&str, Reload)> {
        let mut looked = Vec::new();
        for entry in &self.entries {
            let Some(path) = &entry.source.path else {
                continue;
            };
            // Taken before opening: a file that changes meanwhile is looked at again.
            let stamp = stamp(&entry.source);
            let mut known = entry.stamp.lock().unwrap_or_else(|e| e.into_inner());
            if !all && *known == stamp {
                continue;
            }
            *known = stamp;
            tracing::debug!(model = entry.source.name, path = %path.display(), "opening anew");
            let outcome = match self.opening.load(&entry.source) {
                Ok(loaded) => {
                    let mut current = entry.current.write().unwrap_or_else(|e| e.into_inner());
                    *current = Arc::new(loaded);
                    Reload::Taken
                }
                Err(e) => Reload::Refused(e),
            };
            looked.push((entry.source.name.as_str(), outcome));
        }
        looked
    }
}

impl Entry {
    fn get(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(|e| e.into_inner()))
    }
}

impl Opening {
    /// Reads the file into memory, so that changing it later does no harm, and checks all of it: the
    /// checksums, the weights, and the self-test's scores on this machine.
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
            Head::Classifier { .. } => None,
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
