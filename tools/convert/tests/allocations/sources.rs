//! Writes sources of every format.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use lanerank::model::ModelConfig;
use lanerank_convert::TensorSource;
use lanerank_testing::models::{RandomSource, VOCAB, classifier, source};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The folder of the committed sources.
pub(crate) fn goldens(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/data")
        .join(name)
}

/// A folder with all files of a model except its weights.
pub(crate) fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["config.json", "vocab.txt", "tokenizer_config.json"] {
        let from = goldens("sources/model").join(name);
        fs::copy(from, folder.path().join(name)).unwrap();
    }
    folder
}

/// A zip archive of these files.
pub(crate) fn zip(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A cross-encoder whose weights take about 6 MB.
pub(crate) fn shape() -> ModelConfig {
    ModelConfig {
        hidden_size: 128,
        num_attention_heads: 2,
        intermediate_size: 512,
        vocab_size: 8000,
        ..classifier(1)
    }
}

/// The files of [`shape`] except its weights.
pub(crate) fn large_place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = shape();
    let json = serde_json::json!({
        "architectures": ["BertForSequenceClassification"], "model_type": "bert",
        "hidden_size": config.hidden_size, "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size, "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings, "type_vocab_size": 2,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12, "id2label": {"0": "LABEL_0"},
    });
    fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
    fs::write(folder.path().join("vocab.txt"), VOCAB.join("\n")).unwrap();
    folder
}

/// Names, shapes and little-endian values of [`shape`]'s tensors.
fn tensors() -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let mut source: RandomSource = source(&shape(), 3);
    let shapes = source.shapes.clone();
    let values = |(name, shape): (String, Vec<usize>)| {
        let values = source.read(&name).unwrap();
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        (name, shape, bytes)
    };
    shapes.into_iter().map(values).collect()
}

/// The weights of [`shape`] as a safetensors file.
pub(crate) fn safetensors() -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, bytes) in tensors() {
        let offsets = [data.len(), data.len() + bytes.len()];
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": offsets});
        header.insert(name, entry);
        data.extend(bytes);
    }
    let header = serde_json::Value::Object(header).to_string();
    [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &data,
    ]
    .concat()
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn numbers(values: &[usize], out: &mut Vec<u8>) {
    out.push(b'(');
    for &value in values {
        out.push(b'J');
        out.extend((value as u32).to_le_bytes());
    }
    out.push(b't');
}

/// The persistent id of a storage of floats.
fn storage(key: &str, len: usize, out: &mut Vec<u8>) {
    out.push(b'(');
    text("storage", out);
    out.extend(b"ctorch\nFloatStorage\n");
    text(key, out);
    text("cpu", out);
    out.push(b'J');
    out.extend((len as u32).to_le_bytes());
    out.extend(b"tQ");
}

/// The weights of [`shape`] as `torch.save` writes them: in an archive, or as before 1.6.
pub(crate) fn pickled(archive: bool) -> Vec<u8> {
    let tensors = tensors();
    let mut pickle = b"\x80\x02}".to_vec();
    for (key, (name, shape, bytes)) in tensors.iter().enumerate() {
        text(name, &mut pickle);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        storage(&key.to_string(), bytes.len() / 4, &mut pickle);
        pickle.extend(b"K\x00");
        numbers(shape, &mut pickle);
        let stride = |i: usize| shape[i + 1..].iter().product();
        numbers(
            &(0..shape.len()).map(stride).collect::<Vec<_>>(),
            &mut pickle,
        );
        pickle.extend(b"\x89}tRs");
    }
    pickle.push(b'.');
    if archive {
        let names: Vec<String> = (0..tensors.len()).map(|i| format!("m/data/{i}")).collect();
        let mut files = vec![("m/data.pkl", &pickle[..])];
        let entries = names.iter().zip(&tensors);
        files.extend(entries.map(|(name, (.., bytes))| (name.as_str(), &bytes[..])));
        return zip(&files, CompressionMethod::Stored);
    }
    let mut file = legacy(&pickle);
    file.extend(b"\x80\x02](");
    (0..tensors.len()).for_each(|key| text(&key.to_string(), &mut file));
    file.extend(b"e.");
    for (.., bytes) in &tensors {
        file.extend((bytes.len() as u64 / 4).to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// A file from before PyTorch 1.6, up to the keys of the storages.
pub(crate) fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.");
    file.extend(b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.");
    file.extend(pickle);
    file
}

/// Builds GGUF files.
pub(crate) struct Gguf(pub Vec<u8>);

impl Gguf {
    pub(crate) fn new(tensors: u64, keys: u64) -> Self {
        let mut file = Gguf(b"GGUF".to_vec());
        file.0.extend(3u32.to_le_bytes());
        file.0.extend(tensors.to_le_bytes());
        file.0.extend(keys.to_le_bytes());
        file
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    pub(crate) fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    /// An array of `count` items of a type, and their bytes.
    pub(crate) fn array(self, kind: u32, count: u64, items: &[u8]) -> Self {
        let mut file = self.number(9).number(kind);
        file.0.extend(count.to_le_bytes());
        file.0.extend(items);
        file
    }
}

/// A field of a protocol buffer: a message, a text or bytes.
pub(crate) fn field(tag: u64, content: &[u8]) -> Vec<u8> {
    let mut out = varint(tag << 3 | 2);
    out.extend(varint(content.len() as u64));
    out.extend(content);
    out
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

/// An ONNX file with this graph, of version 17 of the operators.
pub(crate) fn onnx(graph: &[u8]) -> Vec<u8> {
    [&b"\x08\x08"[..], &field(8, b"\x10\x11"), &field(7, graph)].concat()
}

/// A node of an ONNX graph.
pub(crate) fn node(op: &str, inputs: &[String], output: &str) -> Vec<u8> {
    let mut node: Vec<u8> = inputs.iter().flat_map(|i| field(1, i.as_bytes())).collect();
    node.extend(field(2, output.as_bytes()));
    node.extend(field(4, op.as_bytes()));
    field(1, &node)
}

/// A constant of an ONNX graph, as 64-bit integers.
pub(crate) fn constant(name: &str, values: &[i64]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut tensor = field(1, &varint(values.len() as u64));
    tensor.extend(b"\x10\x07");
    tensor.extend(field(8, name.as_bytes()));
    tensor.extend(field(9, &bytes));
    field(5, &tensor)
}
