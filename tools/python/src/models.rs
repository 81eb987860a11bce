//! Finds and opens the model that a caller names.

use std::path::{Path, PathBuf};

use lanerank::Model;
use lanerank_convert::cache::Cache;
use lanerank_convert::convert::WeightDtype;
use lanerank_convert::hub::{Hub, HubError, ModelId, Settings};
use lanerank_convert::import::{ImportError, is_lane};

use crate::interrupts::Abandoned;

/// FlashRank's default model: the meaning of its `cache_dir` without a name.
const FLASHRANK_DEFAULT: &str = "ms-marco-TinyBERT-L-2-v2";

/// A caller's request for a model.
pub(crate) struct Wanted {
    /// A path or a name. `None` is the embedded model.
    pub name: Option<String>,
    /// Folder of models, instead of the caches that the environment names.
    pub cache_dir: Option<PathBuf>,
    /// Dtype of converted weights.
    pub dtype: WeightDtype,
    /// Whether the network is forbidden.
    pub offline: bool,
}

/// Announces slow work: a download, a conversion.
pub(crate) type Notify<'a> = dyn Fn(&str) + 'a;

impl Wanted {
    /// Opens the model. Tries, in this order: FlashRank's layout in `cache_dir`, a file or folder
    /// with this path, a model with this name in the caches, and the hub unless it is forbidden.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be used. Ends the thread if the wait for it is
    /// over.
    pub(crate) fn open(
        &self,
        notify: &Notify<'_>,
        abandoned: &Abandoned,
    ) -> Result<Model, HubError> {
        let Some(name) = &self.name else {
            return match self.kept(FLASHRANK_DEFAULT) {
                Some(source) => self.converted(&source, notify, abandoned),
                None => Ok(Model::embedded()?),
            };
        };
        if let Some(source) = self.kept(name) {
            return self.converted(&source, notify, abandoned);
        }
        let path = Path::new(name);
        if is_lane(path) {
            return Model::open(path).map_err(|e| of_file(path, e));
        }
        if path.exists() {
            self.converted(path, notify, abandoned)
        } else {
            self.by_name(&name.parse()?, notify, abandoned)
        }
    }

    /// The folder of FlashRank's layout, `cache_dir/name`, or the downloaded archive.
    fn kept(&self, name: &str) -> Option<PathBuf> {
        let is_plain = !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
        let cache = self.cache_dir.as_ref().filter(|_| is_plain)?;
        let (folder, archive) = (cache.join(name), cache.join(format!("{name}.zip")));
        if folder.is_dir() {
            Some(folder)
        } else {
            archive.is_file().then_some(archive)
        }
    }

    /// The model with a name, from the caches or from the hub.
    fn by_name(
        &self,
        id: &ModelId,
        notify: &Notify<'_>,
        abandoned: &Abandoned,
    ) -> Result<Model, HubError> {
        let mut settings = Settings::from_env()?;
        settings.offline |= self.offline;
        let usual = Hub::new(settings.clone());
        let hub = self.cache_dir.as_ref().map(|folder| {
            settings.cache = folder.join("huggingface");
            settings.converted = converted_folder(folder);
            Hub::new(settings)
        });
        let hubs = hub.iter().chain([&usual]);
        let found = hubs
            .clone()
            .find_map(|hub| Some((hub, hub.find(id)?)))
            .map(Ok);
        let (hub, snapshot) = found.unwrap_or_else(|| {
            let hub = hub.as_ref().unwrap_or(&usual);
            let settings = hub.settings();
            if !settings.offline {
                let (from, to) = (&settings.endpoint, settings.cache.display());
                notify(&format!("downloading {id} from {from} into {to}"));
            }
            Ok::<_, HubError>((hub, hub.pull(id, &mut |_| abandoned.check())?))
        })?;
        hub.open(&snapshot, self.dtype, &mut |_, _| abandoned.check())
    }

    /// The model of a source, from the cache of converted files or converted now.
    fn converted(
        &self,
        source: &Path,
        notify: &Notify<'_>,
        abandoned: &Abandoned,
    ) -> Result<Model, HubError> {
        let folder = match &self.cache_dir {
            Some(folder) => converted_folder(folder),
            None => Settings::from_env()?.converted,
        };
        let entry = Cache::new(folder).of_path(source, self.dtype)?;
        let mut told = false;
        let opened = entry.open(&mut |_, _| {
            abandoned.check();
            if !told {
                notify(&format!("converting {}", source.display()));
                told = true;
            }
        })?;
        if let Err(e) = opened.kept {
            notify(&format!("the converted model is not kept: {e}"));
        }
        Ok(opened.model)
    }
}

/// The engine's error about a file. An error of reading names the file itself.
fn of_file(path: &Path, error: lanerank::Error) -> HubError {
    match error {
        lanerank::Error::Io { .. } => error.into(),
        error => HubError::Import(ImportError::Library {
            path: path.to_owned(),
            source: Box::new(error.into()),
        }),
    }
}

fn converted_folder(cache_dir: &Path) -> PathBuf {
    cache_dir.join("lanerank")
}
