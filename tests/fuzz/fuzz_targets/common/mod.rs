//! A folder for a source, and its conversion.

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::model::Pooling;
use lanerank_convert::convert::{ConvertOptions, convert};
use lanerank_convert::import::{self, Kind, Options};
use tempfile::TempDir;

const SIDE_FILES: [&str; 7] = [
    "added_tokens.json",
    "config.json",
    "config_sentence_transformers.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
];

/// A folder with all files of a model except its weights.
pub struct Place(TempDir);

impl Place {
    /// Makes one, in memory if the system has such a folder.
    pub fn new() -> Place {
        Place::of("sources/model")
    }

    /// One for an ONNX file, whose goldens have another shape.
    pub fn of_onnx() -> Place {
        Place::of("onnx/one-label")
    }

    fn of(folder: &str) -> Place {
        let memory = Path::new("/dev/shm");
        let made = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let place = Place(made.unwrap());
        let model = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../data")
            .join(folder);
        for name in SIDE_FILES {
            if model.join(name).exists() {
                fs::copy(model.join(name), place.path(name)).unwrap();
            }
        }
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the file of weights and converts the folder as `kind`.
    pub fn convert(&self, name: &str, content: &[u8], kind: Kind) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        let options = Options {
            kind: Some(kind),
            ..Options::default()
        };
        let mut opened = import::open(&path, &options);
        if opened.is_err() {
            let pooling = Some(Pooling::Mean);
            opened = import::open(&path, &Options { pooling, ..options });
        }
        let Ok(mut source) = opened else { return };
        // The sizes that the file states have been checked, and it is small: so is the model.
        let options = ConvertOptions::default();
        let _ = convert(
            &source.config,
            &source.tokenizer,
            &mut *source.tensors,
            &options,
            &mut |_, _| (),
        );
    }
}
