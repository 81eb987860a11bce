//! Writes corpus/: small valid files as the seeds of the targets.
//!
//! `cargo run --release --manifest-path tests/fuzz/Cargo.toml --example seeds`

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use lanerank::model::{ModelConfig, Pooling};
use lanerank::tokenizer::{Tokenizer, TokenizerConfig};
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert};
use lanerank_testing::models;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

fn main() {
    models();
    sources();
    bombs();
    side_files();
}

/// A zip archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Files that ask for far more memory than their bytes.
fn bombs() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, content: &[u8]| {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), content).unwrap();
    };
    let key = [b"X\x00\x40\x00\x00".as_slice(), &[b'k'; 1 << 14]].concat();
    let storage = [
        b"(U\x07storagectorch\nFloatStorage\n",
        &key[..],
        b"U\x03cpuK\x06tq\x00",
    ];
    let program = |start: &[u8], step: &[u8], times: usize| {
        [&b"\x80\x02"[..], start, &step.repeat(times), b"."].concat()
    };
    let pickles = [
        (
            "persistent-ids",
            program(&storage.concat(), b"h\x00Q0", 8000),
        ),
        ("marks", program(b"", b"(", 50_000)),
        ("memo", program(b"N", b"\x94", 50_000)),
        ("tuples", program(b"", b")", 50_000)),
        ("lists", program(b"", b"](Ne", 10_000)),
        (
            "copies",
            program(
                b"ccollections\nOrderedDict\nq\x00](NN\x86NN\x86e\x85q\x02",
                b"h\x00h\x02R",
                8000,
            ),
        ),
    ];
    let config = std::fs::read(corpus.join("../../data/sources/model/config.json")).unwrap();
    for (name, pickle) in &pickles {
        write("import_pytorch", name, pickle);
        let file = archive(&[("m/data.pkl", pickle)]);
        let whole = archive(&[("config.json", &config), ("pytorch_model.bin", &file)]);
        write("import_zip", &format!("{name}.zip"), &whole);
    }
    // Names that become equal, since the writer refuses equal ones.
    let twice = archive(&[("config.json", &config), ("config.jsox", &config)]);
    let twice: Vec<u8> = twice
        .iter()
        .map(|&b| if b == b'x' { b'n' } else { b })
        .collect();
    write("import_zip", "twice.zip", &twice);
    let long = [&config[..], &b" ".repeat(20 << 20)].concat();
    let weights = b"\0".repeat(20 << 20);
    let deflated = archive(&[("config.json", &long), ("model.safetensors", &weights)]);
    write("import_zip", "deflated.zip", &deflated);
    let marks = archive(&[("m/data.pkl", &b"(".repeat(20 << 20))]);
    let whole = archive(&[("config.json", &config), ("pytorch_model.bin", &marks)]);
    write("import_zip", "deflated-marks.zip", &whole);
    let mut gguf = b"GGUF\x03\0\0\0".to_vec();
    gguf.extend([0u64, 1, 1].iter().flat_map(|n| n.to_le_bytes()));
    gguf.extend(b"a\x09\0\0\0\0\0\0\0");
    gguf.extend(50_000u64.to_le_bytes());
    gguf.extend([1; 50_000]);
    write("import_gguf", "integers.gguf", &gguf);
    // Empty nodes of a graph of 60,000 bytes.
    let onnx = [&b"\x08\x08\x3a\xe0\xd4\x03"[..], &b"\x0a\0".repeat(30_000)].concat();
    write("import_onnx", "nodes.onnx", &onnx);
    let list = format!("{{\"a\":{{\"shape\":[{}0]}}}}", "0,".repeat(25_000));
    let header = [&(list.len() as u64).to_le_bytes()[..], list.as_bytes()].concat();
    write("import_safetensors", "shape.safetensors", &header);
    let pieces = format!(
        "{{\"model\":{{\"vocab\":{{{}\"a\":0}}}}}}",
        "\"\":0,".repeat(10_000)
    );
    write("import_tokenizer", "pieces.json", pieces.as_bytes());
    write(
        "import_tokenizer",
        "lines.txt",
        "\n".repeat(50_000).as_bytes(),
    );
}

/// Seeds of `import_folder`: the number of a file in its list, and content.
fn side_files() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = here.join("corpus/import_folder");
    std::fs::create_dir_all(&corpus).unwrap();
    let golden = |name: &str| {
        let path = here.join("../data/sources/model").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let list = |item: &str| format!("[{}{item}]", format!("{item},").repeat(10_000));
    let seeds = [
        (0, "added", r##"{"#hashtag": 85}"##.to_owned()),
        (
            0,
            "added-many",
            format!("{{{}\"a\":85}}", "\"\":85,".repeat(6000)),
        ),
        (1, "config", golden("config.json")),
        (
            2,
            "prompts",
            r#"{"prompts":{"query":"q: "},"default_prompt_name":"query"}"#.into(),
        ),
        (
            3,
            "modules",
            r#"[{"type":"sentence_transformers.models.Transformer","path":""}]"#.into(),
        ),
        (4, "special", golden("special_tokens_map.json")),
        (
            4,
            "special-many",
            format!("{{\"additional_special_tokens\":{}}}", list("\"\"")),
        ),
        (5, "tokenizer", golden("tokenizer.json")),
        (6, "settings", golden("tokenizer_config.json")),
        (6, "settings-many", format!("{{\"x\":{}}}", list("{}"))),
        (7, "vocab", golden("vocab.txt")),
    ];
    for (number, name, content) in seeds {
        std::fs::write(
            corpus.join(name),
            [&[number][..], content.as_bytes()].concat(),
        )
        .unwrap();
    }
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
            &[
                "model/tokenizer.json",
                "model/vocab.txt",
                "../tokenizer/unigram/tokenizer.json",
            ],
        ),
    ] {
        let corpus = here.join("corpus").join(target);
        std::fs::create_dir_all(&corpus).unwrap();
        for file in files {
            let name = file.replace("../", "").replace('/', "-");
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
    let files = names.map(|name| {
        (
            format!("m/{name}"),
            std::fs::read(folder.join(name)).unwrap(),
        )
    });
    let files = files.each_ref();
    let files = files.map(|(name, content)| (name.as_str(), &content[..]));
    std::fs::write(corpus.join("import_zip/model.zip"), archive(&files)).unwrap();
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
    let pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "<mask>",
        "\u{2581}",
        "\u{2581}a",
        "a",
        "the",
        "b",
    ];
    let scores = [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -2.5, -3.0, -3.5];
    let config = TokenizerConfig::xlm_roberta();
    let tokenizer = Tokenizer::from_unigram(&pieces, &scores, &[], &config).unwrap();
    let shape = ModelConfig {
        hidden_size: 8,
        num_attention_heads: 2,
        intermediate_size: 8,
        ..models::xlm_roberta()
    };
    let mut source = models::source(&shape, 1);
    let options = ConvertOptions::default();
    let file = convert(&shape, &tokenizer, &mut source, &options, &mut |_, _| ()).unwrap();
    std::fs::write(folder.join("xlm_roberta_int8.lane"), &file[..]).unwrap();
}
