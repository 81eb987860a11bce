//! Any bytes as a GGUF file: a model or an error, never a panic.

#![no_main]

mod common;

use std::sync::LazyLock;

use lanerank_convert::import::Kind;
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<common::Place> = LazyLock::new(common::Place::new);

fuzz_target!(|bytes: &[u8]| PLACE.convert("x.gguf", bytes, Kind::Gguf));
