//! Compares ONNX files of every exporter, optimiser and quantiser with ONNX Runtime. The goldens in
//! tests/data/onnx are made by tests/goldens/make_onnx_goldens.py.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lanerank::{Encoder, Model, Ranker};
use lanerank_convert::convert::{ConvertOptions, INTEGERS, WeightDtype, convert};
use lanerank_convert::import::{self, Options, Source};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    texts: Vec<(String, String)>,
    files: BTreeMap<String, Vec<Vec<f32>>>,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data/onnx")
        .join(name)
}

fn expected(name: &str) -> Expected {
    let text = std::fs::read_to_string(folder(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn open(folder_name: &str, file: &str) -> Source {
    let path = folder(folder_name).join(format!("{file}.onnx"));
    import::open(&path, &Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn converted(source: &mut Source, dtype: WeightDtype) -> Model {
    let options = ConvertOptions {
        dtype,
        ..ConvertOptions::default()
    };
    let (config, tokenizer) = (&source.config, &source.tokenizer);
    let file = convert(
        config,
        tokenizer,
        &mut *source.tensors,
        &options,
        &mut |_, _| (),
    )
    .unwrap();
    Model::from_bytes(&file).unwrap()
}

/// Largest difference between a file's f32 conversion and ONNX Runtime: rounding, or ONNX Runtime's
/// own rounding to 16 or 8 bits.
fn bound(file: &str) -> f32 {
    match file {
        _ if file.contains("f16") => 2e-3,
        _ if file.contains("int8") || file == "qdq" => 0.1,
        _ => 1e-4,
    }
}

fn check_logits(name: &str) {
    let expected = expected(name);
    assert!(expected.texts.len() > 3 && !expected.files.is_empty());
    for (file, logits) in &expected.files {
        let mut source = open(name, file);
        // Our own evaluation of the graph, with activations not rounded.
        let limit = if file.contains("f16") { 1e-3 } else { 2e-6 };
        let difference = source.graph_difference.unwrap();
        assert!(
            difference <= limit,
            "{name}/{file}: {difference} from the graph"
        );
        let ranker = Ranker::builder()
            .opened(converted(&mut source, WeightDtype::F32))
            .build()
            .unwrap();
        for ((query, passage), logits) in expected.texts.iter().zip(logits) {
            let theirs = match logits[..] {
                [no, yes] => yes - no,
                _ => logits[0],
            };
            let ours = ranker.rerank(query, &[passage]).unwrap()[0].logit;
            assert!(
                (ours - theirs).abs() <= bound(file),
                "{name}/{file}: {ours}, not {theirs}"
            );
        }
    }
}

#[test]
fn cross_encoders_give_onnx_runtimes_logits() {
    check_logits("one-label");
    check_logits("two-labels");
}

#[test]
fn encoders_give_onnx_runtimes_vectors() {
    let expected = expected("encoder");
    for (file, vectors) in &expected.files {
        let mut source = open("encoder", file);
        assert!(source.graph_difference.unwrap() < 1e-6, "{file}");
        let encoder = Encoder::builder()
            .opened(converted(&mut source, WeightDtype::F32))
            .build()
            .unwrap();
        for ((_, text), theirs) in expected.texts.iter().zip(vectors) {
            let ours = encoder.encode(&[text]).unwrap().concat();
            let worst = ours
                .iter()
                .zip(theirs)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 1e-5, "{file}: {worst}");
        }
    }
}

/// `make_onnx_types_goldens.py` made the files.
#[test]
fn without_the_input_token_type_ids_all_types_are_0() {
    check_logits("no-types");
    for file in ["eager", "dynamo", "exporter"] {
        let notes = open("no-types", file).notes.join("; ");
        assert!(notes.contains("all token types are 0"), "{notes}");
    }
    assert!(open("one-label", "torch_eager").notes.is_empty());
}

#[test]
fn an_encoder_in_place_of_a_cross_encoder_is_refused() {
    let place = tempfile::tempdir().unwrap();
    for file in ["config.json", "vocab.txt", "tokenizer_config.json"] {
        std::fs::copy(folder("one-label").join(file), place.path().join(file)).unwrap();
    }
    for file in ["torch_eager.onnx", "fused.onnx"] {
        let path = place.path().join("model.onnx");
        std::fs::copy(folder("encoder").join(file), &path).unwrap();
        let error = import::open(&path, &Options::default())
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("model.onnx: config.json says cross-encoder"),
            "{error}"
        );
        assert!(error.contains("--task text-classification"), "{error}");
    }
}

#[test]
fn external_data_that_is_a_git_lfs_pointer_is_named() {
    let place = tempfile::tempdir().unwrap();
    for file in ["config.json", "vocab.txt", "tokenizer_config.json"] {
        std::fs::copy(folder("one-label").join(file), place.path().join(file)).unwrap();
    }
    // ModelProto with a graph whose initializer has its data in another file.
    let field =
        |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let entry = |key: &[u8], value: &[u8]| field(13, &[field(1, key), field(2, value)].concat());
    let tensor = [
        vec![8, 1, 16, 1],
        field(8, b"w"),
        entry(b"location", b"model.onnx.data"),
        vec![112, 1],
    ];
    let output = field(12, &field(1, b"w"));
    let graph = [field(5, &tensor.concat()), output].concat();
    let model = [vec![8, 8], field(7, &graph), field(8, &[16, 14])].concat();
    let path = place.path().join("model.onnx");
    std::fs::write(&path, model).unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n";
    std::fs::write(place.path().join("model.onnx.data"), pointer).unwrap();
    let error = import::open(&path, &Options::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("model.onnx.data") && error.contains("git lfs pull"),
        "{error}"
    );
}

/// What happened to the integers of each weight.
fn integers(file: &str) -> BTreeMap<String, String> {
    let model = converted(&mut open("one-label", file), WeightDtype::Int8);
    let notes = model.metadata().iter();
    let notes = notes
        .filter_map(|(key, value)| Some((key.strip_prefix(INTEGERS)?.to_owned(), value.clone())));
    notes.collect()
}

#[test]
fn integers_are_taken_over_where_they_fit() {
    for file in ["int8_tensor", "int8_channel", "fused_int8", "extended_int8"] {
        let taken = integers(file);
        assert!(taken.len() > 8, "{file}: {taken:?}");
        for (name, value) in taken {
            let as_expected = match name.as_str() {
                // onnxruntime quantises tables to unsigned integers, and some values are too far
                // from the zero point.
                "embeddings.word" | "embeddings.position" => value.starts_with("kept"),
                // One scale per channel of the keys does not fit keys stored per head and
                // transposed.
                "layers.1.attention.key_t" if file != "int8_tensor" => value == "requantized",
                _ => value == "kept",
            };
            assert!(as_expected, "{file}: {name} {value}");
        }
    }
    for (name, value) in integers("uint8_tensor") {
        let keys = name == "layers.1.attention.key_t";
        assert!(keys || value.starts_with("kept"), "{name} {value}");
    }
    assert!(integers("torch_eager").is_empty());
}

#[test]
fn int8_files_of_integers_stay_near_the_graph() {
    let expected = expected("one-label");
    let exact = &expected.files["torch_eager"];
    for file in [
        "int8_tensor",
        "int8_channel",
        "uint8_tensor",
        "uint8_channel",
        "fused_int8",
        "extended_int8",
        "qdq",
    ] {
        let mut source = open("one-label", file);
        let ranker = Ranker::builder()
            .opened(converted(&mut source, WeightDtype::Int8))
            .build()
            .unwrap();
        for ((query, passage), logits) in expected.texts.iter().zip(exact) {
            let ours = ranker.rerank(query, &[passage]).unwrap()[0].logit;
            assert!(
                (ours - logits[0]).abs() <= 0.1,
                "{file}: {ours}, not {}",
                logits[0]
            );
        }
    }
}

/// The error for a golden file with another `config.json`.
fn refusal(change: (&str, serde_json::Value)) -> String {
    let place = tempfile::tempdir().unwrap();
    for file in [
        "config.json",
        "vocab.txt",
        "tokenizer_config.json",
        "fused.onnx",
    ] {
        std::fs::copy(folder("one-label").join(file), place.path().join(file)).unwrap();
    }
    let path = place.path().join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config[change.0] = change.1;
    std::fs::write(&path, config.to_string()).unwrap();
    match import::open(&place.path().join("fused.onnx"), &Options::default()) {
        Ok(_) => panic!("accepted with another {}", change.0),
        Err(e) => e.to_string(),
    }
}

#[test]
fn a_config_of_another_model_is_refused() {
    for (name, value, part) in [
        (
            "num_attention_heads",
            serde_json::json!(4),
            "num_attention_heads is 2 in the graph",
        ),
        (
            "num_hidden_layers",
            serde_json::json!(1),
            "num_hidden_layers is 2 in the graph",
        ),
        ("layer_norm_eps", serde_json::json!(1e-5), "layer_norm_eps"),
        (
            "hidden_act",
            serde_json::json!("relu"),
            "the activation is Gelu",
        ),
        ("intermediate_size", serde_json::json!(32), "shape"),
        (
            "architectures",
            serde_json::json!(["BertModel"]),
            "1_Pooling",
        ),
    ] {
        let reason = refusal((name, value));
        assert!(reason.contains(part), "{name}: {reason}");
    }
}
