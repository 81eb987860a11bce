//! Runs the binary, and makes a tiny model for it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Asserts exit code 2 and a one-line reason.
    pub(crate) fn refused(&self, words: &str) {
        assert_eq!(self.code, 2, "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.starts_with("lanerank: "), "{}", self.stderr);
        assert!(self.stderr.contains(words), "{words}: {}", self.stderr);
        assert_eq!(self.stdout, "");
    }

    /// Asserts success and reads the output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.ok()).unwrap()
    }

    /// Asserts success.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.stderr);
        &self.stdout
    }
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanerank"));
    command
        .env_remove("LANERANK_MODEL")
        .env_remove("LANERANK_ISA");
    command
}

pub(crate) fn lanerank(args: &[&str]) -> Outcome {
    lanerank_with(args, "")
}

pub(crate) fn lanerank_with(args: &[&str], input: &str) -> Outcome {
    let mut child = command()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder with a BERT of two layers of 32, and its parts to change.
pub(crate) struct Tiny {
    pub folder: TempDir,
}

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

pub(crate) fn pieces() -> Vec<String> {
    let letters = ('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]);
    let words = ["bread", "fresh", "lamp", "the", "is", "."].map(str::to_owned);
    let special = SPECIAL.map(str::to_owned).into_iter();
    special.chain(letters).chain(words).collect()
}

pub(crate) fn config() -> Value {
    json!({
        "model_type": "bert", "architectures": ["BertForSequenceClassification"],
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "vocab_size": pieces().len(), "max_position_embeddings": 40,
        "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "position_embedding_type": "absolute", "id2label": {"0": "LABEL_0"},
    })
}

pub(crate) fn tokenizer_json() -> Value {
    let special = |(id, content): (usize, &&str)| {
        json!({"id": id, "content": content, "special": true, "normalized": false,
            "lstrip": false, "rstrip": false, "single_word": false})
    };
    let vocab = pieces()
        .into_iter()
        .enumerate()
        .map(|(id, piece)| (piece, json!(id)));
    json!({
        "version": "1.0",
        "added_tokens": SPECIAL.iter().enumerate().map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
            "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab.collect::<serde_json::Map<_, _>>()},
    })
}

/// Names and shapes of the tensors of [`config`]'s model.
pub(crate) fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    let mut add = |name: &str, shape: &[usize]| all.push((name.to_owned(), shape.to_vec()));
    add(
        "bert.embeddings.word_embeddings.weight",
        &[pieces().len(), 32],
    );
    add("bert.embeddings.position_embeddings.weight", &[40, 32]);
    add("bert.embeddings.token_type_embeddings.weight", &[2, 32]);
    add("bert.embeddings.LayerNorm.gamma", &[32]);
    add("bert.embeddings.LayerNorm.beta", &[32]);
    for layer in 0..2 {
        let linears = [
            ("attention.self.query", 32, 32),
            ("attention.self.key", 32, 32),
            ("attention.self.value", 32, 32),
            ("attention.output.dense", 32, 32),
            ("intermediate.dense", 64, 32),
            ("output.dense", 32, 64),
        ];
        for (part, rows, columns) in linears {
            add(
                &format!("bert.encoder.layer.{layer}.{part}.weight"),
                &[rows, columns],
            );
            add(&format!("bert.encoder.layer.{layer}.{part}.bias"), &[rows]);
        }
        for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
            add(&format!("bert.encoder.layer.{layer}.{part}.weight"), &[32]);
            add(&format!("bert.encoder.layer.{layer}.{part}.bias"), &[32]);
        }
    }
    add("bert.pooler.dense.weight", &[32, 32]);
    add("bert.pooler.dense.bias", &[32]);
    add("classifier.weight", &[1, 32]);
    add("classifier.bias", &[1]);
    all
}

/// A safetensors file with these tensors and seeded values.
pub(crate) fn safetensors(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let (mut data, mut state) = (Vec::new(), 1u32);
    for (name, shape) in tensors {
        let start = data.len();
        for _ in 0..shape.iter().product::<usize>() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            data.extend((value * 0.3).to_le_bytes());
        }
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

impl Tiny {
    pub(crate) fn new() -> Tiny {
        let tiny = Tiny {
            folder: tempfile::tempdir().unwrap(),
        };
        tiny.write("config.json", config().to_string());
        tiny.write("model.safetensors", safetensors(&tensors()));
        tiny.write("vocab.txt", pieces().join("\n") + "\n");
        tiny.write("tokenizer.json", tokenizer_json().to_string());
        tiny
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        text(&path)
    }

    /// Changes one value of config.json.
    pub(crate) fn config(&self, name: &str, value: Value) {
        let mut config = config();
        config[name] = value;
        self.write("config.json", config.to_string());
    }

    pub(crate) fn convert(&self, more: &[&str]) -> Outcome {
        let output = text(&self.path("out.lane"));
        let source = text(self.folder.path());
        let args = ["convert", &source, "-o", &output];
        lanerank(&[&args, more].concat())
    }

    /// Converts and returns the model's path.
    pub(crate) fn model(&self) -> String {
        self.convert(&["--force"]).ok();
        text(&self.path("out.lane"))
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
