use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::support::*;

#[test]
fn every_dtype_and_the_same_bytes_every_time() {
    let tiny = Tiny::new();
    let mut sizes = Vec::new();
    for dtype in ["int8", "f16", "f32"] {
        tiny.convert(&["--dtype", dtype, "--force"]).ok();
        let first = fs::read(tiny.path("out.lane")).unwrap();
        tiny.convert(&["--dtype", dtype, "--force"]).ok();
        assert_eq!(first, fs::read(tiny.path("out.lane")).unwrap());
        lanerank(&["inspect", "--check", &text(&tiny.path("out.lane"))]).ok();
        sizes.push(first.len());
    }
    assert!(sizes[1] < sizes[2], "{sizes:?}");
    tiny.convert(&["--keep", "pooler=f16,layers.0=f32", "--force"])
        .ok();
    tiny.convert(&["--keep", "no_such=f16", "--force"])
        .refused("no_such");
    tiny.convert(&["--keep", "pooler", "--force"])
        .refused("name=dtype");
    tiny.convert(&["--activations", "a8,ffn.output=a16", "--force"])
        .ok();
    let facts = lanerank(&["inspect", &text(&tiny.path("out.lane")), "--json"]).json();
    assert_eq!(facts["activations"]["ffn.output"], "a16");
    assert_eq!(facts["activations"]["attention.qkv"], "a8");
    tiny.convert(&["--activations", "a12", "--force"])
        .refused("a12");
    tiny.convert(&["--activations", "a16", "--dtype", "f32", "--force"])
        .refused("no matrix is int8");
}

#[test]
fn outputs_are_not_replaced_unasked_and_nothing_half_written_remains() {
    let tiny = Tiny::new();
    let before = fs::read_dir(tiny.folder.path()).unwrap().count();
    tiny.convert(&[]).ok();
    tiny.convert(&[]).refused("exists already; --force");
    let source = text(tiny.folder.path());
    lanerank(&["convert", &source, "-o", &source]).refused("is a folder");
    lanerank(&["convert", &source, "-o", "/no/such/folder/x.lane"]).refused("does not exist");
    fs::remove_file(tiny.path("out.lane")).unwrap();
    tiny.write("model.safetensors", safetensors(&tensors()[1..]));
    tiny.convert(&[]).refused("word_embeddings");
    assert_eq!(fs::read_dir(tiny.folder.path()).unwrap().count(), before);
}

#[test]
fn configs_of_other_models_are_refused_by_name() {
    let tiny = Tiny::new();
    for (name, value, words) in [
        ("model_type", json!("xlm-roberta"), "XLM-RoBERTa"),
        ("model_type", json!("deberta-v2"), "DeBERTa"),
        ("model_type", json!("modernbert"), "ModernBERT"),
        ("model_type", json!("electra"), "ELECTRA"),
        ("model_type", json!("t5"), "T5"),
        ("model_type", json!("qwen3"), "Qwen"),
        ("model_type", json!("jina-bert"), "ALiBi"),
        ("model_type", json!("llama"), "Llama"),
        ("position_embedding_type", json!("alibi"), "ALiBi"),
        (
            "architectures",
            json!(["BertForMaskedLM"]),
            "BertForMaskedLM",
        ),
        (
            "position_embedding_type",
            json!("relative_key"),
            "relative_key",
        ),
        ("is_decoder", json!(true), "is_decoder"),
        ("add_cross_attention", json!(true), "add_cross_attention"),
        ("hidden_act", json!("silu"), "hidden_act \"silu\""),
        (
            "id2label",
            json!({"0": "a", "1": "b", "2": "c"}),
            "3 labels",
        ),
        ("vocab_size", json!(5), "vocab_size is 5"),
        ("vocab_size", json!(500), "word_embeddings"),
        ("num_attention_heads", json!(5), "num_attention_heads"),
        ("num_attention_heads", json!(0), "num_attention_heads"),
        ("hidden_size", json!(-1), "config.json:1: "),
        ("hidden_size", json!(1u64 << 60), "hidden_size"),
        ("hidden_size", Value::Null, "config.json:1: "),
        ("num_hidden_layers", json!(3), "encoder.layer.2"),
    ] {
        tiny.config(name, value);
        tiny.convert(&[]).refused(words);
    }
}

#[test]
fn labels() {
    let tiny = Tiny::new();
    let with_labels = |count: usize| {
        let mut all = tensors();
        let len = all.len();
        all[len - 2].1[0] = count;
        all[len - 1].1[0] = count;
        tiny.write("model.safetensors", safetensors(&all));
        let labels = (0..count)
            .map(|i| (i.to_string(), json!("x")))
            .collect::<serde_json::Map<_, _>>();
        tiny.config("id2label", labels.into());
        tiny.convert(&["--force"])
    };
    with_labels(2).ok();
    with_labels(3).refused("3 labels; lanerank scores 1");
}

#[test]
fn tensors_that_are_missing_or_unknown() {
    let tiny = Tiny::new();
    let all = tensors();
    let mut more = all.clone();
    more.push(("cls.predictions.bias".into(), vec![3]));
    more.push(("bert.embeddings.position_ids".into(), vec![40]));
    tiny.write("model.safetensors", safetensors(&more));
    let outcome = tiny.convert(&["--force"]);
    outcome.ok();
    assert!(
        outcome.stderr.contains("warning: ") && outcome.stderr.contains("cls.predictions.bias")
    );
    assert!(!outcome.stderr.contains("position_ids"));
    let no_pooler: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| !name.contains("pooler"))
        .collect();
    tiny.write("model.safetensors", safetensors(&no_pooler));
    tiny.convert(&["--force"]).refused("pooler");
    fs::remove_file(tiny.path("model.safetensors")).unwrap();
    tiny.convert(&["--force"]).refused("no model.safetensors");
    tiny.write("pytorch_model.bin", "");
    tiny.convert(&["--force"]).refused("pytorch_model.bin: ");
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let tiny = Tiny::new();
    let mut bytes = safetensors(&tensors());
    let len = bytes.len();
    bytes[len - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    tiny.write("model.safetensors", &bytes);
    tiny.convert(&[]).refused("classifier.bias");
    tiny.write("model.safetensors", &bytes[..len - 1]);
    tiny.convert(&[]).refused("model.safetensors: tensor ");
    tiny.write("model.safetensors", u64::MAX.to_le_bytes());
    tiny.convert(&[])
        .refused("model.safetensors: the header claims");
    tiny.write("model.safetensors", "");
    tiny.convert(&[])
        .refused("model.safetensors: header length");
}

#[test]
fn encoders() {
    let tiny = Tiny::new();
    tiny.config("architectures", json!(["BertModel"]));
    tiny.convert(&[]).refused("--pooling mean");
    tiny.convert(&["--pooling", "cls"]).ok();
    tiny.write(
        "modules.json",
        r#"[{"type":"a.Transformer","path":""},
        {"type":"a.Pooling","path":"1_Pooling"},{"type":"a.Normalize","path":"2_Normalize"}]"#,
    );
    tiny.write(
        "1_Pooling/config.json",
        r#"{"pooling_mode_mean_tokens":true}"#,
    );
    tiny.write("sentence_bert_config.json", r#"{"max_seq_length":20}"#);
    let facts = lanerank(&["inspect", "--json", &tiny.model()]).json();
    let config = &facts["config"];
    assert_eq!(
        (&config["pooling"], &config["normalize"]),
        (&json!("mean"), &json!(true))
    );
    assert_eq!(config["max_length"], 20);
    let hits = lanerank_with(
        &["rerank", "-m", &tiny.model(), "-q", "bread", "--json"],
        "bread\nlamp",
    )
    .json();
    assert!((hits[0]["score"].as_f64().unwrap() - 1.0).abs() < 0.01);
}

#[test]
fn tokenizer_files() {
    let tiny = Tiny::new();
    tiny.write("tokenizer_config.json", r#"{"do_lower_case":false}"#);
    tiny.convert(&[])
        .refused("tokenizer_config.json: do_lower_case");
    tiny.write(
        "tokenizer_config.json",
        r#"{"do_lower_case":true,"model_max_length":30}"#,
    );
    assert_eq!(
        lanerank(&["inspect", "--json", &tiny.model()]).json()["config"]["max_length"],
        30
    );
    let mut other = pieces();
    other.swap(10, 11);
    tiny.write("vocab.txt", other.join("\n"));
    tiny.convert(&["--force"]).refused("vocab.txt:11: piece 10");
    let both = fs::read(tiny.path("out.lane")).unwrap();
    tiny.write("vocab.txt", pieces().join("\n"));
    fs::remove_file(tiny.path("tokenizer.json")).unwrap();
    tiny.convert(&["--force"]).ok();
    assert_eq!(
        both,
        fs::read(tiny.path("out.lane")).unwrap(),
        "vocab.txt alone gives the same file"
    );
    fs::remove_file(tiny.path("vocab.txt")).unwrap();
    tiny.convert(&["--force"])
        .refused("neither tokenizer.json nor vocab.txt");
    for model in ["BPE", "WordLevel"] {
        let mut file = tokenizer_json();
        file["model"]["type"] = json!(model);
        tiny.write("tokenizer.json", file.to_string());
        tiny.convert(&["--force"])
            .refused(&format!("tokenizer.json: model \"{model}\""));
    }
    let mut file = tokenizer_json();
    file["model"]["vocab"]["bread"] = json!(500);
    tiny.write("tokenizer.json", file.to_string());
    tiny.convert(&["--force"]).refused("\"bread\" has id 500");
}

#[test]
fn lengths_beyond_the_positions_are_refused() {
    let tiny = Tiny::new();
    tiny.convert(&["--max-length", "41"])
        .refused("--max-length");
    tiny.convert(&["--max-length", "0"]).refused("max_length");
    tiny.convert(&["--max-length", "40"]).ok();
    tiny.convert(&["--pooling", "cls", "--force"])
        .refused("--pooling: is for encoders");
}

/// A trained model from outside the repository, if it is present.
#[test]
fn a_trained_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let trial = root.join("../shared/data/trial");
    if !trial.is_dir() {
        eprintln!("skipped: {} is not there", trial.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let model = text(&folder.path().join("trial.lane"));
    lanerank(&["convert", &text(&trial), "-o", &model]).ok();
    assert!(fs::metadata(&model).unwrap().len() <= 5_000_000);
    let input = "The lamp is lit at dusk.\nKeep bread in a paper bag and it stays fresh.\n";
    let args = [
        "rerank",
        "-m",
        &model,
        "-q",
        "how to keep bread fresh",
        "--json",
    ];
    let hits = lanerank_with(&args, input).json();
    assert_eq!(hits[0]["index"], 1);
}
