//! Writes corpus/: small valid files as the seeds of the targets.
//!
//! `cargo run --release --manifest-path tests/fuzz/Cargo.toml --example seeds`

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use lanerank::model::{ModelConfig, Pooling};
use lanerank_convert::convert::WeightDtype;
use lanerank_testing::models;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

fn main() {
    models();
    sources();
}

/// Seeds of the targets for other formats, from the goldens of
/// `tests/goldens/make_source_goldens.py` and `make_onnx_goldens.py`.
fn sources() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (target, files) in [
        ("import_safetensors", &["model/model.safetensors"][..]),
        ("import_gguf", &["q8_0.gguf", "f16.gguf", "encoder.gguf"]),
        ("import_pytorch", &["legacy.bin"]),
        ("import_zip", &["zip-bf16.bin"]),
        (
            "import_tokenizer",
            &["model/tokenizer.json", "model/vocab.txt"],
        ),
    ] {
        let corpus = here.join("corpus").join(target);
        std::fs::create_dir_all(&corpus).unwrap();
        for file in files {
            let name = file.rsplit('/').next().unwrap();
            std::fs::copy(here.join("../data/sources").join(file), corpus.join(name)).unwrap();
        }
    }
    let corpus = here.join("corpus/import_onnx");
    std::fs::create_dir_all(&corpus).unwrap();
    for entry in std::fs::read_dir(here.join("../data/onnx/one-label")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "onnx") {
            std::fs::copy(&path, corpus.join(path.file_name().unwrap())).unwrap();
        }
    }
    let corpus = here.join("corpus");
    let folder = here.join("../data/sources/model");
    let names = [
        "config.json",
        "vocab.txt",
        "tokenizer_config.json",
        "model.safetensors",
    ];
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        writer
            .start_file(format!("m/{name}"), SimpleFileOptions::default())
            .unwrap();
        writer
            .write_all(&std::fs::read(folder.join(name)).unwrap())
            .unwrap();
    }
    let archive = writer.finish().unwrap().into_inner();
    std::fs::write(corpus.join("import_zip/model.zip"), archive).unwrap();
    for name in ["zip-bf16.bin", "strided.bin"] {
        let file = File::open(here.join("../data/sources").join(name)).unwrap();
        let mut archive = ZipArchive::new(file).unwrap();
        let entry = {
            let mut names = archive.file_names().map(Result::unwrap);
            names
                .find(|name| name.ends_with("data.pkl"))
                .unwrap()
                .into_owned()
        };
        let mut pickle = Vec::new();
        archive
            .by_name(&entry)
            .unwrap()
            .read_to_end(&mut pickle)
            .unwrap();
        std::fs::write(
            corpus.join("import_pytorch").join(format!("{name}.pkl")),
            pickle,
        )
        .unwrap();
    }
}

fn models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/open_model");
    std::fs::create_dir_all(&folder).unwrap();
    let shapes = [
        ("one_label", models::classifier(1)),
        ("two_labels", models::classifier(2)),
        ("mean", models::encoder(Pooling::Mean)),
        ("cls", models::encoder(Pooling::Cls)),
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
            std::fs::write(path, models::file(&small, dtype, 1)).unwrap();
        }
    }
}
