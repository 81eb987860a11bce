//! One tiny model in every layout that `convert` reads (`tests/goldens/make_source_goldens.py`).
//! Each becomes the same file, and that file scores like torch.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::support::*;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/sources")
}

/// A folder for a source and its model file.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        text(&path)
    }

    /// A model folder with these weights under this file name.
    fn folder(&self, weights: &str, golden: &str) -> String {
        for name in SIDE_FILES {
            self.write(name, fs::read(goldens().join("model").join(name)).unwrap());
        }
        self.write(weights, fs::read(goldens().join(golden)).unwrap());
        text(self.0.path())
    }

    fn convert(&self, source: &str, more: &[&str]) -> Outcome {
        let output = text(&self.path("out.lane"));
        let args = [
            "convert", source, "-o", &output, "--force", "--dtype", "f32",
        ];
        lanerank(&[&args, more].concat())
    }

    fn lane(&self) -> Vec<u8> {
        fs::read(self.path("out.lane")).unwrap()
    }
}

const SIDE_FILES: [&str; 5] = [
    "config.json",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

fn model() -> String {
    text(&goldens().join("model"))
}

/// The model file of the model folder.
fn expected_file() -> Vec<u8> {
    let place = Place::new();
    place.convert(&model(), &[]).ok();
    place.lane()
}

fn expected() -> Value {
    let text = fs::read_to_string(goldens().join("model/expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_model_scores_as_torch_does() {
    let place = Place::new();
    let outcome = place.convert(&model(), &["--json"]);
    let report = outcome.json();
    assert_eq!(report["source"], "safetensors");
    assert_eq!(report["self_test"].as_array().unwrap().len(), 3);
    assert!(
        report["max_difference"].as_f64().unwrap() < 1e-5,
        "{report}"
    );
    assert!(outcome.stderr.contains("from the source's weights in f32"));
    let lane = text(&place.path("out.lane"));
    for case in expected()["cases"].as_array().unwrap() {
        let request = json!({"query": case["query"], "passages": [{"text": case["passage"]}]});
        let hits = lanerank_with(&["rerank", "-m", &lane, "--json"], &request.to_string()).json();
        let ours = hits[0]["logit"].as_f64().unwrap();
        assert!(
            (ours - case["logits"][0].as_f64().unwrap()).abs() < 1e-4,
            "{case}"
        );
        let pair = json!([case["query"], case["passage"]]).to_string();
        let tokens = lanerank_with(&["tokenize", "-m", &lane, "--max-length", "32"], &pair).json();
        assert_eq!(tokens["ids"], case["ids"]);
    }
    let args = ["convert", &model(), "-o", &lane, "--force", "--json"];
    let int8 = lanerank(&args);
    assert!(int8.json()["max_difference"].as_f64().unwrap() > 1e-5);
}

#[test]
fn every_layout_becomes_the_same_file() {
    let expected = expected_file();
    for (weights, golden, kind) in [
        ("pytorch_model.bin", "zip-bf16.bin", "pytorch"),
        ("pytorch_model.bin", "strided.bin", "pytorch"),
        ("pytorch_model.bin", "legacy.bin", "pytorch"),
        (
            "model.safetensors",
            "model/model.safetensors",
            "safetensors",
        ),
    ] {
        let place = Place::new();
        let folder = place.folder(weights, golden);
        // The folder, the file in it, and an explicit kind.
        for (source, more) in [
            (folder.clone(), &[][..]),
            (text(&place.path(weights)), &[]),
            (folder, &["--from", kind]),
        ] {
            let report = place.convert(&source, &[more, &["--json"]].concat()).json();
            assert_eq!(report["source"], kind);
            assert!(place.lane() == expected, "{golden}");
        }
    }
    let place = Place::new();
    let folder = place.folder(
        "model.safetensors.index.json",
        "sharded/model.safetensors.index.json",
    );
    for shard in 1..=2 {
        let name = format!("model-0000{shard}-of-00002.safetensors");
        let content = fs::read(goldens().join("sharded").join(&name)).unwrap();
        place.write(&name, content);
    }
    place.convert(&folder, &[]).ok();
    assert!(place.lane() == expected, "shards");
}

#[test]
fn gguf_files_need_nothing_beside_them() {
    let expected = expected_file();
    let place = Place::new();
    for name in ["f16.gguf", "q8_0.gguf"] {
        let source = text(&goldens().join(name));
        let report = place.convert(&source, &["--json"]).json();
        assert_eq!(report["source"], "gguf");
        assert!(place.lane() == expected, "{name}");
    }
    let source = text(&goldens().join("q8_0.gguf"));
    place
        .convert(&source, &["--pooling", "cls"])
        .refused("--pooling");
    place
        .convert(&source, &["--max-length", "33"])
        .refused("32 positions");
    let source = text(&goldens().join("no-pooler.gguf"));
    place.convert(&source, &[]).refused("without its pooler");
}

#[test]
fn a_gguf_encoder_embeds_as_torch_does() {
    let place = Place::new();
    let source = text(&goldens().join("encoder.gguf"));
    place.convert(&source, &[]).ok();
    let lane = text(&place.path("out.lane"));
    for case in texts() {
        let line = case["text"].to_string() + "\n";
        let ours = lanerank_with(&["embed", "--model", &lane], &line).json();
        let theirs = case["embedding"].as_array().unwrap();
        for (a, b) in ours.as_array().unwrap().iter().zip(theirs) {
            assert!(
                (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-5,
                "{case}"
            );
        }
    }
}

fn texts() -> Vec<Value> {
    expected()["texts"].as_array().unwrap().clone()
}

/// A zip of the model folder under this folder name, with the files that macOS adds.
fn zipped(folder: &str, weights: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let model = goldens().join("model");
    let content = fs::read(model.join("model.safetensors")).unwrap();
    zipped_model(folder, (&model, &SIDE_FILES), (weights, &content), more)
}

fn zipped_model(
    folder: &str,
    (model, side_files): (&Path, &[&str]),
    (weights, content): (&str, &[u8]),
    more: &[(&str, &[u8])],
) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, content: &[u8]| {
        writer
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content).unwrap();
    };
    for name in side_files {
        add(&format!("__MACOSX/{folder}._{name}"), b"\0\x05\x16\x07");
        add(
            &format!("{folder}{name}"),
            &fs::read(model.join(name)).unwrap(),
        );
    }
    add(&format!("{folder}{weights}"), content);
    add(&format!("{folder}._{weights}"), b"\0\x05\x16\x07");
    more.iter().for_each(|(name, content)| add(name, content));
    writer.finish().unwrap().into_inner()
}

#[test]
fn zips_are_read_where_they_are() {
    let expected = expected_file();
    for folder in ["", "ms-marco-TinyBERT-L-2-v2/"] {
        let place = Place::new();
        let source = place.write("x.zip", zipped(folder, "model.safetensors", &[]));
        for more in [
            &[][..],
            &["--from", "zip"],
            &["--from", "flashrank"],
            &["--from", "safetensors"],
        ] {
            place.convert(&source, more).ok();
            assert!(place.lane() == expected, "{more:?}");
        }
        let left: Vec<_> = fs::read_dir(place.0.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "something was unpacked: {left:?}");
    }
    let place = Place::new();
    place
        .convert(&model(), &["--from", "zip"])
        .refused("is a folder");
    let weights = text(&goldens().join("model/model.safetensors"));
    place
        .convert(&weights, &["--from", "zip"])
        .refused("is not a zip archive");
}

/// FlashRank's zips name their ONNX files differently; all except the first are dynamic int8.
#[test]
fn flashranks_zips_and_folders() {
    let model = goldens().join("../onnx/one-label");
    let side_files = ["config.json", "tokenizer_config.json", "vocab.txt"];
    for (name, weights, golden) in [
        (
            "ms-marco-TinyBERT-L-2-v2",
            "flashrank-TinyBERT-L-2-v2.onnx",
            "torch_eager.onnx",
        ),
        (
            "ms-marco-MiniLM-L-12-v2",
            "flashrank-MiniLM-L-12-v2_Q.onnx",
            "int8_channel.onnx",
        ),
        (
            "ms-marco-MultiBERT-L-12",
            "flashrank-MultiBERT-L12_Q.onnx",
            "fused_int8.onnx",
        ),
        (
            "ce-esci-MiniLM-L12-v2",
            "flashrank-ce-esci-MiniLM-L12-v2_Q.onnx",
            "int8_tensor.onnx",
        ),
    ] {
        let place = Place::new();
        let content = fs::read(model.join(golden)).unwrap();
        place.convert(&text(&model.join(golden)), &[]).ok();
        let expected = place.lane();
        let folder = format!("{name}/");
        let zip = zipped_model(&folder, (&model, &side_files), (weights, &content), &[]);
        let source = place.write(&format!("{name}.zip"), zip);
        place.convert(&source, &[]).ok();
        assert!(place.lane() == expected, "{name}.zip");
        for file in side_files {
            place.write(
                &format!("{name}/{file}"),
                fs::read(model.join(file)).unwrap(),
            );
        }
        place.write(&format!("{name}/{weights}"), &content);
        place.convert(&text(&place.path(name)), &[]).ok();
        assert!(place.lane() == expected, "{name}");
    }
}

#[test]
fn hostile_zips_write_nothing() {
    let zeros = vec![0; 100 << 20];
    for (name, content, words) in [
        ("../../evil", &b"x"[..], "leads out of the archive"),
        ("/tmp/evil", b"x", "absolute name"),
        ("zeros", &zeros, "bytes of memory"),
    ] {
        let place = Place::new();
        let bytes = zipped("m/", "model.safetensors", &[(name, content)]);
        let source = place.write("deep/down/x.zip", bytes);
        place.convert(&source, &[]).refused(words);
        let left = fs::read_dir(place.0.path()).unwrap().count();
        assert_eq!(left, 1);
        assert!(!Path::new("/tmp/evil").exists());
    }
}

#[test]
fn a_pickle_that_calls_code_is_refused_and_not_run() {
    let place = Place::new();
    let folder = place.folder("pytorch_model.bin", "legacy.bin");
    let ran = text(&place.path("ran"));
    let mut pickle = b"\x80\x02cos\nsystem\n".to_vec();
    pickle.extend([b'U', 6 + ran.len() as u8]);
    pickle.extend(format!("touch {ran}").bytes());
    pickle.extend(b"\x85R.");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .start_file("archive/data.pkl", SimpleFileOptions::default())
        .unwrap();
    writer.write_all(&pickle).unwrap();
    place.write("pytorch_model.bin", writer.finish().unwrap().into_inner());
    place
        .convert(&folder, &[])
        .refused("asks for os.system: only tensors are read");
    place.write("pytorch_model.bin", &pickle);
    place
        .convert(&folder, &[])
        .refused("not a file that torch.save made");
    assert!(!place.path("ran").exists());
}

#[test]
fn what_is_no_source() {
    let place = Place::new();
    for (name, content, words) in [
        (
            "a.txt",
            &b"text"[..],
            "is neither a folder nor a file in a known format",
        ),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "TensorFlow"),
        ("a.lane", b"LANERANK\x01\0\0\0", "already"),
        ("a.gguf", b"GGUF\x01\0\0\0", "GGUF version 1"),
        ("a.zip", b"PK\x03\x04", "a.zip: "),
    ] {
        let source = place.write(name, content);
        place.convert(&source, &[]).refused(words);
    }
    place
        .convert(&text(&place.path("none")), &[])
        .refused("No such file");
    let empty = Place::new();
    empty
        .convert(&text(empty.0.path()), &[])
        .refused("no model.safetensors");
    for (name, words) in [
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("openvino_model.xml", "OpenVINO"),
        ("model.bin", "CTranslate2"),
        ("pytorch_model.bin.index.json", "several files"),
    ] {
        let place = Place::new();
        let folder = place.folder(name, "legacy.bin");
        place.convert(&folder, &[]).refused(words);
    }
    let two = Place::new();
    two.write("a.onnx", "");
    let folder = two.folder("b.onnx", "legacy.bin");
    two.convert(&folder, &[])
        .refused("name the file to convert");
    two.convert(&folder, &["--from", "gguf"])
        .refused("no gguf weights here");
}

#[test]
fn special_tokens_have_to_agree() {
    let place = Place::new();
    let folder = place.folder("model.safetensors", "model/model.safetensors");
    place.write("special_tokens_map.json", r#"{"cls_token": "<s>"}"#);
    place
        .convert(&folder, &[])
        .refused("special_tokens_map.json: cls_token");
    place.write(
        "special_tokens_map.json",
        r#"{"additional_special_tokens": ["<q>"]}"#,
    );
    place
        .convert(&folder, &[])
        .refused("\"<q>\" is not in the vocabulary");
    place.write(
        "special_tokens_map.json",
        r#"{"additional_special_tokens": ["river"]}"#,
    );
    place.convert(&folder, &[]).ok();
    let lane = text(&place.path("out.lane"));
    // Special tokens match inside words.
    let tokens = lanerank_with(&["tokenize", "-m", &lane], "\"ariverb\"").json();
    assert_eq!(tokens["ids"].as_array().unwrap().len(), 5);
}

#[test]
fn tokenizers_of_sentencepiece_are_refused_by_name() {
    let place = Place::new();
    let folder = place.folder("model.safetensors", "model/model.safetensors");
    for name in ["tokenizer.json", "vocab.txt"] {
        fs::remove_file(place.path(name)).unwrap();
    }
    place.write("sentencepiece.bpe.model", "");
    place.convert(&folder, &[]).refused("SentencePiece");
}
