//! Any bytes as one of the small files of a model folder: a model or an error, never a panic.
//!
//! The first byte chooses the file, the others are its content.

#![no_main]

mod common;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use lanerank_convert::import::{self, Options};
use libfuzzer_sys::fuzz_target;

/// The files; `common` has their originals.
const NAMES: [&str; 8] = [
    "added_tokens.json",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
];

static PLACE: LazyLock<common::Place> = LazyLock::new(|| {
    let place = common::Place::new();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sources/model");
    let name = "model.safetensors";
    fs::copy(weights.join(name), place.path(name)).unwrap();
    place
});

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, content)) = bytes.split_first() else {
        return;
    };
    let name = NAMES[usize::from(first) % NAMES.len()];
    let path = PLACE.path(name);
    let before = fs::read(&path).ok();
    fs::write(&path, content).unwrap();
    // With both a tokenizer.json and a vocab.txt, each change would be a contradiction.
    let other = PLACE.path("vocab.txt");
    let hidden = PLACE.path("hidden");
    let hides = name == "tokenizer.json" && fs::rename(&other, &hidden).is_ok();
    if let Ok(mut source) = import::open(&PLACE.path(""), &Options::default()) {
        let _ = source.convert(&Default::default(), &mut |_, _| ());
    }
    if hides {
        fs::rename(&hidden, &other).unwrap();
    }
    match before {
        Some(before) => fs::write(&path, before).unwrap(),
        None => fs::remove_file(&path).unwrap(),
    }
});
