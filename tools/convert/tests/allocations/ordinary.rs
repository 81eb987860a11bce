//! Ordinary files: reading them takes far less than the limit.

use std::fs;
use std::path::Path;

use lanerank::Tokenizer;
use lanerank::model::ModelConfig;
use lanerank::model::architectures::schema;
use lanerank_convert::convert::{ConvertOptions, WeightDtype};
use lanerank_convert::import::{self, ImportError, MODEL_FACTOR, Options, SOURCE_FACTOR};
use lanerank_testing::memory::alone;
use zip::CompressionMethod;

use crate::sources::{goldens, large_place, pickled, safetensors, shape, zip};
use crate::{bytes_of, peak_of};

/// What small files take anyway: buffers, tables.
const SMALL: u64 = 1 << 20;

/// Reads and converts a source of `bytes` bytes. Neither may take more than its multiple, without
/// the fixed part of the limit. `weights`: bytes of the model in f32.
fn check(path: &Path, bytes: u64, weights: u64) {
    let name = path.display();
    let (peak, source) = peak_of(|| import::open(path, &Options::default()));
    let mut source = source.unwrap_or_else(|e| panic!("{e}"));
    let reading = SOURCE_FACTOR * bytes + SMALL;
    // Reading an ONNX file runs its graph, and a model of the weights in it.
    let onnx = path.extension().is_some_and(|e| e == "onnx");
    let allowed = reading + if onnx { MODEL_FACTOR * weights } else { 0 };
    println!("{name}: {bytes} bytes, reading takes {peak} of {allowed}");
    assert!(peak <= allowed, "{name}: reading takes {peak} of {allowed}");
    for dtype in [WeightDtype::Int8, WeightDtype::F16, WeightDtype::F32] {
        let options = ConvertOptions {
            dtype,
            ..ConvertOptions::default()
        };
        let (peak, file) = peak_of(|| source.convert(&options, &mut |_, _| ()).unwrap());
        let allowed = reading + MODEL_FACTOR * weights;
        println!("{name}: conversion to {dtype} takes {peak} of {allowed}");
        assert!(peak <= allowed, "{name}, {dtype}: {peak} of {allowed}");
        let (peak, rows) = peak_of(|| source.compare(&file).unwrap());
        assert!(!rows.is_empty() && peak <= allowed, "{name}: {peak}");
    }
}

fn weights_of(path: &Path) -> u64 {
    let source = import::open(path, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    weights_in(&source.config)
}

/// Bytes of a model's weights in f32.
fn weights_in(config: &ModelConfig) -> u64 {
    let elements = |(_, shape): (String, Vec<usize>)| shape.iter().product::<usize>() as u64;
    4 * schema(config).tensors().map(elements).sum::<u64>()
}

#[test]
fn committed_sources_of_every_format() {
    let _alone = alone();
    let folder = goldens("sources/model");
    let weights = weights_of(&folder);
    check(&folder, bytes_of(&folder), weights);
    for name in ["legacy.bin", "strided.bin", "zip-bf16.bin"] {
        let place = crate::sources::place();
        let path = place.path().join(name);
        fs::copy(goldens("sources").join(name), &path).unwrap();
        check(&path, bytes_of(place.path()), weights);
    }
    for name in ["f16.gguf", "q8_0.gguf"] {
        let path = goldens("sources").join(name);
        check(&path, bytes_of(&path), weights);
    }
}

#[cfg(feature = "onnx")]
#[test]
fn committed_onnx_files() {
    let _alone = alone();
    let folder = goldens("onnx/one-label");
    let beside: u64 = ["config.json", "vocab.txt", "tokenizer_config.json"]
        .map(|name| bytes_of(&folder.join(name)))
        .iter()
        .sum();
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut count = 0;
    for path in files.filter(|path| path.extension().is_some_and(|e| e == "onnx")) {
        check(&path, beside + bytes_of(&path), weights_of(&path));
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn a_model_of_some_megabytes_in_every_container() {
    let _alone = alone();
    let weights = weights_in(&shape());
    assert!(weights > 5 << 20);
    for (name, file) in [
        ("model.safetensors", safetensors()),
        ("pytorch_model.bin", pickled(true)),
        ("pytorch_model.bin", pickled(false)),
    ] {
        let place = large_place();
        fs::write(place.path().join(name), &file).unwrap();
        check(place.path(), bytes_of(place.path()), weights);
        // The same in an archive, whose files are unpacked to memory.
        let beside = ["config.json", "vocab.txt"].map(|name| {
            let content = fs::read(place.path().join(name)).unwrap();
            (name, content)
        });
        let mut files = vec![(name, &file[..])];
        files.extend(beside.iter().map(|(name, content)| (*name, &content[..])));
        let path = place.path().join("model.zip");
        fs::write(&path, zip(&files, CompressionMethod::Deflated)).unwrap();
        check(&path, bytes_of(&path), weights);
    }
}

/// 60,000 words, as short as those of a real vocabulary.
fn words() -> Vec<String> {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
    let words = (0..60_000).map(|i| format!("w{i}"));
    special.into_iter().chain(words).collect()
}

#[test]
fn large_vocabularies() {
    let _alone = alone();
    let place = tempfile::tempdir().unwrap();
    let words = words();
    let check =
        |name: &str, content: String, read: &dyn Fn(&Path) -> Result<Tokenizer, ImportError>| {
            let path = place.path().join(name);
            fs::write(&path, &content).unwrap();
            let (peak, tokenizer) = peak_of(|| read(&path).unwrap());
            assert_eq!(tokenizer.vocab_size(), words.len());
            let allowed = 2 * SOURCE_FACTOR * content.len() as u64 + SMALL;
            println!(
                "{name}: {} bytes, reading takes {peak} of {allowed}",
                content.len()
            );
            assert!(peak <= allowed, "{name}: {peak} of {allowed}");
        };
    let vocab = words.join("\n");
    check("vocab.txt", vocab, &|path| import::vocab_txt(path, false));
    let pieces: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(id, word)| format!("{word:?}:{id}"))
        .collect();
    let golden = fs::read_to_string(goldens("sources/model/tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&golden).unwrap();
    json["model"]["vocab"] = serde_json::json!("VOCAB");
    json["added_tokens"] = serde_json::json!([]);
    json["post_processor"]["cls"] = serde_json::json!(["[CLS]", 2]);
    json["post_processor"]["sep"] = serde_json::json!(["[SEP]", 3]);
    let json = json.to_string();
    let json = json.replace("\"VOCAB\"", &format!("{{{}}}", pieces.join(",")));
    check("tokenizer.json", json, &import::tokenizer_json);
}
