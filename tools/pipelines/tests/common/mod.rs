//! An encoder for tests, available on every machine.

use std::path::PathBuf;
use std::sync::Once;

/// A sentence encoder with a few words and random weights. Its vectors mean nothing, but are used
/// like any others.
pub fn tiny_encoder_file() -> PathBuf {
    static MADE: Once = Once::new();
    let out = concat!(env!("CARGO_TARGET_TMPDIR"), "/tiny-encoder.lane");
    MADE.call_once(|| {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests");
        let source = format!("{tests}/data/model/mean-pooled");
        let args = ["lanerank", "convert", &source, "-o", out, "--force"];
        assert_eq!(lanerank_cli::main(args), 0);
    });
    out.into()
}
