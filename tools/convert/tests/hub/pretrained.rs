//! From a name to scores: conversion, its cache, and optionally the real hub.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use lanerank::Model;
use lanerank::kernels::Kernels;
use lanerank_convert::convert::WeightDtype;
use lanerank_convert::hub::{Hub, Snapshot};

use super::Setup;
use lanerank_testing::hub::{Fault, Server};

fn lane(hub: &Hub, snapshot: &Snapshot, dtype: WeightDtype) -> (PathBuf, usize) {
    let mut steps = 0;
    let path = hub.lane(snapshot, dtype, &mut |_, _| steps += 1).unwrap();
    (path, steps)
}

#[test]
fn a_snapshot_is_converted_once() {
    let setup = Setup::new();
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let (path, steps) = lane(&hub, &snapshot, WeightDtype::Int8);
    assert!(steps > 0);
    assert!(path.starts_with(setup.folder.path().join("lanes/models--org--tiny")));
    assert_eq!(lane(&hub, &snapshot, WeightDtype::Int8), (path.clone(), 0));
    let model = Model::open(&path).unwrap();
    let note = |key: &str| {
        let found = model.metadata().iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone())
    };
    let source = format!("org/tiny@{}", snapshot.commit());
    assert_eq!(note("source"), Some(source));
    // Only the file and its lock.
    let beside = fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(beside.count(), 2);
}

#[test]
fn another_dtype_or_source_is_another_file() {
    let setup = Setup::new();
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let (int8, _) = lane(&hub, &snapshot, WeightDtype::Int8);
    let (f32, _) = lane(&hub, &snapshot, WeightDtype::F32);
    assert_ne!(int8, f32);
    setup.server.put(
        "tokenizer_config.json",
        "{\"do_lower_case\": true, \"model_max_length\": 20}",
    );
    let changed = setup.pull().unwrap();
    let (other, _) = lane(&hub, &changed, WeightDtype::Int8);
    assert_ne!(int8, other);
    assert_eq!(Model::open(other).unwrap().config().max_length, 20);
    let converted = hub.converted();
    assert_eq!(converted.len(), 1);
    assert_eq!(
        (converted[0].0.as_str(), converted[0].1.len()),
        ("org/tiny", 3)
    );
}

/// Repositories without model.safetensors: a pickle, and weights in several files.
#[test]
fn other_weights_than_one_safetensors_file() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/sources");
    let read = |name: &str| fs::read(sources.join(name)).unwrap();
    let shard = |i: usize| format!("model-0000{i}-of-00002.safetensors");
    let index = "model.safetensors.index.json";
    let mut lanes = Vec::new();
    for weights in [
        vec![("pytorch_model.bin".into(), read("legacy.bin"))],
        vec![
            (index.into(), read(&format!("sharded/{index}"))),
            (shard(1), read(&format!("sharded/{}", shard(1)))),
            (shard(2), read(&format!("sharded/{}", shard(2)))),
        ],
    ] {
        let setup = Setup::new();
        let names = ["config.json", "tokenizer.json", "tokenizer_config.json"];
        let side = names.map(|name| (name.to_owned(), read(&format!("model/{name}"))));
        let server = Server::start("org/tiny", side.into_iter().chain(weights));
        let mut settings = setup.settings();
        settings.endpoint = server.url.clone();
        let hub = Hub::new(settings);
        let snapshot = hub.pull(&setup.id, &mut |_| {}).unwrap();
        let (path, _) = lane(&hub, &snapshot, WeightDtype::F32);
        lanes.push(
            Model::open(path)
                .unwrap()
                .check(Kernels::best())
                .unwrap()
                .stored,
        );
    }
    assert_eq!(lanes[0], lanes[1]);
}

#[test]
fn copies_in_the_cache_count_by_their_content() {
    let setup = Setup::new();
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let (linked, _) = lane(&hub, &snapshot, WeightDtype::Int8);
    // As on a file system without links.
    for name in snapshot.files() {
        let path = snapshot.folder().join(name);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
    }
    let copied = hub.find(&setup.id).unwrap();
    let (path, steps) = lane(&hub, &copied, WeightDtype::Int8);
    assert!(steps > 0 && path != linked);
    let config = snapshot.folder().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + " ").unwrap();
    assert_ne!(
        lane(&hub, &hub.find(&setup.id).unwrap(), WeightDtype::Int8).0,
        path
    );
}

#[test]
fn a_damaged_model_file_is_made_anew() {
    let setup = Setup::new();
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let (path, _) = lane(&hub, &snapshot, WeightDtype::Int8);
    let good = fs::read(&path).unwrap();
    for bad in [
        &[][..],
        &good[..good.len() / 2],
        &[&good[..good.len() - 1], &[77]].concat(),
    ] {
        fs::write(&path, bad).unwrap();
        hub.open(&snapshot, WeightDtype::Int8, &mut |_, _| {})
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), good);
    }
}

#[test]
fn several_at_once_convert_once() {
    let setup = Setup::new();
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let converted = thread::scope(|scope| {
        let work = || lane(&hub, &snapshot, WeightDtype::Int8).1 > 0;
        let all: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        all.into_iter()
            .filter_map(|one| one.join().unwrap().then_some(()))
            .count()
    });
    assert_eq!(converted, 1);
}

#[test]
fn a_model_that_lanerank_does_not_run_is_refused_by_name() {
    let setup = Setup::new();
    let config = r#"{
        "model_type": "deberta-v2", "architectures": ["DebertaV2ForSequenceClassification"],
        "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "vocab_size": 9, "max_position_embeddings": 12
    }"#;
    setup.server.put("config.json", config);
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let error = hub
        .lane(&snapshot, WeightDtype::Int8, &mut |_, _| {})
        .unwrap_err();
    assert!(error.to_string().contains("DeBERTa"), "{error}");
    assert!(hub.converted().is_empty());
}

#[test]
fn what_is_removed_is_gone() {
    let setup = Setup::new();
    let (hub, snapshot) = (setup.hub(), setup.pull().unwrap());
    let (path, _) = lane(&hub, &snapshot, WeightDtype::Int8);
    assert_eq!(
        hub.remove(&setup.id, true).unwrap(),
        [path.parent().unwrap()]
    );
    assert!(hub.converted().is_empty());
    assert!(hub.find(&setup.id).is_some());
    assert_eq!(hub.remove(&setup.id, false).unwrap(), [setup.cached("")]);
    assert_eq!(hub.find(&setup.id), None);
    assert_eq!(
        hub.remove(&setup.id, false).unwrap(),
        [""; 0].map(Path::new)
    );
    // It can be downloaded again.
    setup.server.fail("/tree/", [Fault::Status(503, "X: y")]);
    assert!(setup.pull().is_ok());
}

/// The five passages of FlashRank's README (0.1.3), and the scores that it prints. They come from
/// another int8 file, so logits may differ by the cost of int8 on both sides.
///
/// Needs the hub: `cargo test -p lanerank-convert --features hub --test hub -- --ignored`.
#[test]
#[ignore = "downloads from huggingface.co"]
fn flashranks_readme() {
    const INT8_BOUND: f32 = 0.5;
    let passages = [
        (
            0.99806124,
            "Introduce *lookahead decoding*: - a parallel decoding algo to accelerate LLM \
             inference - w/o the need for a draft model or a data store - linearly decreases # \
             decoding steps relative to log(FLOPs) used per decoding step.",
        ),
        (
            0.95966834,
            "There are many ways to increase LLM inference throughput (tokens/second) and \
             decrease memory footprint, sometimes at the same time. Here are a few methods I’ve \
             found effective when working with Llama 2. These methods are all well-integrated \
             with Hugging Face.  This list is far from exhaustive; some of these techniques can \
             be used in combination with each other and there are plenty of others to try. - \
             Bettertransformer (Optimum Library): Simply call `model.to_bettertransformer()` on \
             your Hugging Face model for a modest improvement in tokens per second.  - Fp4 \
             Mixed-Precision (Bitsandbytes): Requires minimal configuration and dramatically \
             reduces the model's memory footprint.  - AutoGPTQ: Time-consuming but leads to a \
             much smaller model and faster inference. The quantization is a one-time cost that \
             pays off in the long run. ",
        ),
        (
            0.620731,
            "vLLM is a fast and easy-to-use library for LLM inference and serving. vLLM is fast \
             with: State-of-the-art serving throughput Efficient management of attention key and \
             value memory with PagedAttention Continuous batching of incoming requests Optimized \
             CUDA kernels",
        ),
        (
            0.56146526,
            "LLM inference efficiency will be one of the most crucial topics for both industry \
             and academia, simply because the more efficient you are, the more $$$ you will save. \
             vllm project is a must-read for this direction, and now they have just released the \
             paper",
        ),
        (
            0.098350815,
            "Ever want to make your LLM inference go brrrrr but got stuck at implementing \
             speculative decoding and finding the suitable draft model? No more pain! Thrilled to \
             unveil Medusa, a simple framework that removes the annoying draft model while \
             getting 2x speedup. ",
        ),
    ];
    let ranker = lanerank_convert::hub::ranker("ms-marco-TinyBERT-L-2-v2").unwrap();
    let texts = passages.map(|(_, text)| text);
    for hit in ranker
        .rerank("Tricks to accelerate LLM inference", &texts)
        .unwrap()
    {
        let printed: f32 = passages[hit.index].0;
        let logit = (printed / (1.0 - printed)).ln();
        let difference = (hit.logit - logit).abs();
        println!(
            "{printed} printed, {} here, logits {difference:.3} apart",
            hit.score
        );
        assert!(difference < INT8_BOUND, "{}", texts[hit.index]);
    }
}
