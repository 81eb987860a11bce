//! Writes corpus/open_model/*.lane: small valid files for `open_model` to start from.
//!
//! `cargo run --release --manifest-path tests/fuzz/Cargo.toml --example seeds`

#[path = "../../common/mod.rs"]
mod common;

use std::path::Path;

use lanerank::convert::WeightDtype;
use lanerank::model::{ModelConfig, Pooling};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/open_model");
    std::fs::create_dir_all(&folder).unwrap();
    let shapes = [
        ("one_label", common::classifier(1)),
        ("two_labels", common::classifier(2)),
        ("mean", common::encoder(Pooling::Mean)),
        ("cls", common::encoder(Pooling::Cls)),
    ];
    for (name, shape) in shapes {
        let small = ModelConfig {
            hidden_size: 8,
            num_attention_heads: 2,
            intermediate_size: 8,
            ..shape
        };
        for (dtype, suffix) in [
            (WeightDtype::Int8, "int8"),
            (WeightDtype::F32, "f32"),
            (WeightDtype::F16, "f16"),
        ] {
            let path = folder.join(format!("{name}_{suffix}.lane"));
            std::fs::write(path, common::file(&small, dtype, 1)).unwrap();
        }
    }
}
