//! Any bytes as a tokenizer.json or a vocab.txt: a tokenizer with ids of its vocabulary or an
//! error, never a panic.

#![no_main]

mod common;

use std::sync::LazyLock;

use lanerank_convert::import;
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<common::Place> = LazyLock::new(common::Place::new);
const TEXT: &str = "A river bank: na\u{ef}ve [MASK] \u{6c34} unsearchable!";

fuzz_target!(|bytes: &[u8]| {
    let path = PLACE.path("x");
    std::fs::write(&path, bytes).unwrap();
    let read = [
        import::tokenizer_json(&path),
        import::vocab_txt(&path, false),
        import::vocab_txt(&path, true),
    ];
    for tokenizer in read.into_iter().flatten() {
        for id in tokenizer.encode(TEXT, 32).ids {
            assert!((id as usize) < tokenizer.vocab_size());
        }
    }
});
