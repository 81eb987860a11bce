//! From what a caller names a model by to the model.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use lanerank::Model;
use lanerank::Verify;
use lanerank::format::checksum::xxh64;
use lanerank::format::header::VERSION;
use lanerank::format::storage::{AlignedBytes, Blob};
use lanerank::format::write::write_file;
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert};
use lanerank_convert::hub::{Hub, HubError, ModelId, Settings};
use lanerank_convert::import::{self, Options};

/// FlashRank's default model, and so what a `cache_dir` of its without a name means.
const FLASHRANK_DEFAULT: &str = "ms-marco-TinyBERT-L-2-v2";
/// Folders below a model's own that are looked into for changes: `onnx`, `1_Pooling`.
const DEPTH: usize = 2;

/// What a caller asks for.
pub struct Wanted {
    /// A path or a name; without one the embedded model.
    pub name: Option<String>,
    /// Where models are kept, instead of the caches that the environment names.
    pub cache_dir: Option<PathBuf>,
    /// What converted weights are stored in.
    pub dtype: WeightDtype,
    /// Whether the network is forbidden.
    pub offline: bool,
}

/// Says what takes long: a download, a conversion.
pub type Notify<'a> = dyn Fn(&str) + 'a;

impl Wanted {
    /// Opens the model. In this order: a model as FlashRank keeps it in `cache_dir`, a file or folder
    /// of this path, a model of this name in the caches, and last, where it is not forbidden, on the
    /// hub.
    ///
    /// # Errors
    /// When there is none, or none that can be used.
    pub fn open(&self, notify: &Notify<'_>) -> Result<Model, HubError> {
        let Some(name) = &self.name else {
            return match self.kept(FLASHRANK_DEFAULT) {
                Some(source) => self.converted(&source, notify),
                None => Ok(Model::embedded()?),
            };
        };
        if let Some(source) = self.kept(name) {
            return self.converted(&source, notify);
        }
        let path = Path::new(name);
        if is_lane(path) {
            return Ok(Model::open(path)?);
        }
        match path.exists() {
            true => self.converted(path, notify),
            false => self.by_name(&name.parse()?, notify),
        }
    }

    /// The folder of FlashRank's layout, `cache_dir/name`, or the archive it was downloaded as.
    fn kept(&self, name: &str) -> Option<PathBuf> {
        let is_plain = !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
        let cache = self.cache_dir.as_ref().filter(|_| is_plain)?;
        let (folder, archive) = (cache.join(name), cache.join(format!("{name}.zip")));
        match folder.is_dir() {
            true => Some(folder),
            false => archive.is_file().then_some(archive),
        }
    }

    /// The model of a name, from the caches or from the hub.
    fn by_name(&self, id: &ModelId, notify: &Notify<'_>) -> Result<Model, HubError> {
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
            Ok::<_, HubError>((hub, hub.pull(id, &mut |_| {})?))
        })?;
        hub.open(&snapshot, self.dtype, &mut |_, _| {})
    }

    /// The model of a source, converted where that was not done before.
    fn converted(&self, source: &Path, notify: &Notify<'_>) -> Result<Model, HubError> {
        let folder = match &self.cache_dir {
            Some(folder) => converted_folder(folder),
            None => Settings::from_env()?.converted,
        };
        let path = folder.join(self.file_name(source)?);
        // A damaged file is made anew.
        if let Ok(model) = Model::open(&path) {
            return Ok(model);
        }
        // Where the disk refuses, the model is converted all the same, and next time again.
        let lock = lock(&path.with_extension("lock"));
        if let Some(model) = lock.as_ref().ok().and_then(|_| Model::open(&path).ok()) {
            return Ok(model);
        }
        notify(&format!("converting {}", source.display()));
        let file = self.convert(source)?;
        let written = lock.and_then(|_lock| Ok(write_file(&path, &file)?));
        if let Err(e) = written {
            notify(&format!("the converted model is not kept: {e}"));
        }
        Ok(Model::from_blob(
            Blob::from_aligned(file),
            Verify::Structure,
        )?)
    }

    /// Names a converted file by everything that it depends on.
    fn file_name(&self, source: &Path) -> Result<String, HubError> {
        let source = fs::canonicalize(source).map_err(disk(source))?;
        let mut state = format!("{}\n", source.display());
        describe(&source, DEPTH, &mut state)?;
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        Ok(format!(
            "{stem}-{:016x}-{}-v{VERSION}-{}.lane",
            xxh64(state.as_bytes()),
            self.dtype,
            env!("CARGO_PKG_VERSION")
        ))
    }

    fn convert(&self, source: &Path) -> Result<AlignedBytes, HubError> {
        let note = |key: &str, value: String| (key.to_owned(), value);
        let converter = concat!("lanerank ", env!("CARGO_PKG_VERSION"));
        let options = ConvertOptions {
            dtype: self.dtype,
            metadata: vec![note("converter", converter.into())],
            ..ConvertOptions::default()
        };
        let mut source = import::open(source, &Options::default())?;
        Ok(convert(
            &source.config,
            &source.tokenizer,
            &mut *source.tensors,
            &options,
            &mut |_, _| {},
        )?)
    }
}

fn converted_folder(cache_dir: &Path) -> PathBuf {
    cache_dir.join("lanerank")
}

/// Whether this is one of our files: by its name, whether it exists or not, or by its content.
fn is_lane(path: &Path) -> bool {
    let named = path.extension().is_some_and(|ext| ext == "lane");
    let begins = || -> std::io::Result<bool> {
        let mut start = [0; 4];
        File::open(path)?.read_exact(&mut start)?;
        Ok(start == *b"LANE")
    };
    named || (path.is_file() && begins().unwrap_or(false))
}

/// Adds a line for each file: its name, size and time of change.
fn describe(path: &Path, depth: usize, state: &mut String) -> Result<(), HubError> {
    let metadata = fs::metadata(path).map_err(disk(path))?;
    if !metadata.is_dir() {
        let changed = metadata.modified().ok();
        let since = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanos = since.map_or(0, |time| time.as_nanos());
        let len = metadata.len();
        state.push_str(&format!("{} {len} {nanos}\n", path.display()));
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(disk(path))?;
    let mut paths = Vec::new();
    for entry in entries {
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

/// Waits until nobody else converts this; held until the file is dropped.
fn lock(path: &Path) -> Result<File, HubError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(disk(folder))?;
    }
    let file = File::create(path).map_err(disk(path))?;
    match file.lock() {
        // Some network file systems have no locks: the work may be done twice.
        Err(e) if e.kind() != std::io::ErrorKind::Unsupported => Err(disk(path)(e)),
        _ => Ok(file),
    }
}

/// For `map_err` on work with a file.
fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> HubError + '_ {
    |source| HubError::Disk {
        path: path.to_owned(),
        source,
    }
}
