use std::fs;
use std::path::PathBuf;

use prost::Message;
use serde_json::Value;

use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto,
};
use super::*;
use crate::import::Options;

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/onnx/one-label")
}

fn golden(file: &str) -> Vec<u8> {
    fs::read(goldens().join(format!("{file}.onnx"))).unwrap()
}

fn parse(bytes: Vec<u8>) -> Result<OnnxFile, String> {
    let file = OnnxFile::parse("m.onnx".as_ref(), bytes, Beside::default());
    file.map_err(|e| e.to_string())
}

fn refusal(bytes: Vec<u8>) -> String {
    parse(bytes).expect_err("accepted")
}

/// A changed golden file.
fn changed(file: &str, change: impl FnOnce(&mut GraphProto)) -> String {
    let mut model = ModelProto::decode(&golden(file)[..]).unwrap();
    change(model.graph.as_mut().unwrap());
    refusal(model.encode_to_vec())
}

fn model(graph: GraphProto) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto {
        domain: String::new(),
        version: 17,
    }];
    ModelProto {
        graph: Some(graph),
        opset_import,
    }
    .encode_to_vec()
}

fn node(op: &str, input: &str, output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: vec![input.into()],
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn tensor(dims: &[i64]) -> TensorProto {
    TensorProto {
        name: "w".into(),
        data_type: 1,
        dims: dims.to_vec(),
        ..TensorProto::default()
    }
}

/// The error for a file with one tensor, in this folder.
fn refused_tensor(tensor: TensorProto, folder: &Path) -> String {
    let graph = GraphProto {
        initializer: vec![tensor],
        ..GraphProto::default()
    };
    let mut beside = Beside::folder(folder);
    Graph::parse(model(graph).into(), &mut beside).expect_err("accepted")
}

#[test]
fn tensors_of_impossible_shapes() {
    let here = Path::new(".");
    for dims in [
        &[1 << 60][..],
        &[1 << 31, 1 << 31, 1 << 31],
        &[-1],
        &[0, 1 << 62, 8],
        &[3],
    ] {
        let reason = refused_tensor(tensor(dims), here);
        assert!(reason.starts_with("tensor \"w\": "), "{reason}");
    }
    let text = TensorProto {
        data_type: 8,
        ..tensor(&[1])
    };
    assert!(refused_tensor(text, here).contains("(string) is not supported"));
}

#[test]
fn external_data_stays_in_the_folder() {
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("model");
    fs::create_dir(&inside).unwrap();
    fs::write(place.path().join("secret"), [0; 64]).unwrap();
    fs::write(inside.join("data"), [0; 16]).unwrap();
    let external = |location: &str, offset: &str| {
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        };
        TensorProto {
            data_location: 1,
            external_data: vec![entry("location", location), entry("offset", offset)],
            ..tensor(&[2])
        }
    };
    let absolute = place.path().join("secret").to_str().unwrap().to_owned();
    for location in ["../secret", &absolute, "a/../../secret", "..\\secret"] {
        let reason = refused_tensor(external(location, "0"), &inside);
        assert!(reason.contains("is outside the model's folder"), "{reason}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(place.path().join("secret"), inside.join("link")).unwrap();
        let reason = refused_tensor(external("link", "0"), &inside);
        assert!(reason.contains("links to a file outside"), "{reason}");
        let reason = refused_tensor(external(".", "0"), &inside);
        assert!(reason.contains("not a plain file"), "{reason}");
    }
    for offset in ["9", "18446744073709551615", "x"] {
        let reason = refused_tensor(external("data", offset), &inside);
        assert!(reason.contains("external data in \"data\""), "{reason}");
    }
    let graph = GraphProto {
        initializer: vec![external("data", "8")],
        ..GraphProto::default()
    };
    let read = Graph::parse(model(graph).into(), &mut Beside::folder(&inside)).unwrap();
    assert_eq!(read.constants["w"].floats(), [0.0, 0.0]);
    // Without a folder there are no external files.
    let graph = GraphProto {
        initializer: vec![external("data", "0")],
        ..GraphProto::default()
    };
    assert!(refusal(model(graph)).contains("external files cannot be read here"));
}

#[test]
fn graphs_that_are_none() {
    let graph = |nodes: Vec<NodeProto>| GraphProto {
        node: nodes,
        ..GraphProto::default()
    };
    let cyclic = graph(vec![node("Relu", "a", "b"), node("Tanh", "b", "a")]);
    assert!(refusal(model(cyclic)).contains("its input depends on its output"));
    let dangling = graph(vec![node("Relu", "a", "b")]);
    assert!(refusal(model(dangling)).contains("nothing makes its input \"a\""));
    let twice = graph(vec![node("Relu", "", "b"), node("Tanh", "", "b")]);
    assert!(refusal(model(twice)).contains("there is a \"b\" already"));
    assert!(refusal(model(graph(vec![]))).contains("no outputs"));
    let nested = AttributeProto {
        g: Some(super::proto::Unread {}),
        ..AttributeProto::default()
    };
    let nested = NodeProto {
        attribute: vec![nested],
        ..node("If", "", "b")
    };
    assert!(refusal(model(graph(vec![nested]))).contains("graphs within graphs"));
    assert!(refusal(b"PK\x03\x04 no ONNX file".to_vec()).contains("not an ONNX file"));
    assert!(refusal(Vec::new()).contains("no graph"));
}

/// The result of one node for integers.
fn computed(op: &str, inputs: &[&[i64]]) -> Result<tensor::Tensor, String> {
    let made = model(GraphProto {
        node: vec![node(op, "", "b")],
        ..GraphProto::default()
    });
    let graph = Graph::parse(made.into(), &mut Beside::default())?;
    let vector = |values: &&[i64]| Some(tensor::Tensor::ints(&[values.len()], values.to_vec()));
    let inputs: Vec<_> = inputs.iter().map(vector).collect();
    let outputs = eval::Evaluator::new(false, 1 << 20).eval(&graph.nodes[0], &inputs);
    outputs.map(|mut outputs| outputs.swap_remove(0))
}

#[test]
fn what_is_computed_stays_small_and_inside() {
    let two: &[i64] = &[1, 2];
    assert_eq!(computed("Expand", &[two, &[2, 2]]).unwrap().shape, [2, 2]);
    let cases: [(&str, &[&[i64]]); 8] = [
        ("Expand", &[two, &[1 << 40, 2]]),
        ("Expand", &[two, &[1 << 20, 1 << 20, 2]]),
        ("ConstantOfShape", &[&[1 << 40]]),
        ("Tile", &[two, &[1 << 50]]),
        ("Gather", &[two, &[2]]),
        // Twice along one axis.
        ("Slice", &[two, &[1, 1], &[2, 2], &[0, 0]]),
        ("Reshape", &[two, &[1 << 62, 4]]),
        ("Div", &[two, &[0, 1]]),
    ];
    for (op, inputs) in cases {
        assert!(computed(op, inputs).is_err(), "{op} {inputs:?}");
    }
}

#[test]
fn more_messages_than_any_model_has() {
    // 2 bytes each, about a hundred after decoding.
    let nodes = [0x0a, 0x00].repeat(1 << 21);
    let mut file = vec![0x3a];
    prost::encoding::encode_varint(nodes.len() as u64, &mut file);
    file.extend(nodes);
    assert!(refusal(file).contains("bytes of memory"));
}

/// Numbers without a pattern.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }
}

/// Changes some bytes, or moves a block.
fn damage(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            _ => {
                let len = random.below(40).min(bytes.len() - at);
                let piece = bytes[at..at + len].to_vec();
                let to = random.below(bytes.len() - len);
                bytes[to..to + len].copy_from_slice(&piece);
            }
        }
    }
}

/// Damage may leave a valid file: only a panic is wrong.
fn read_all(bytes: Vec<u8>) {
    if let Ok(mut file) = parse(bytes) {
        for name in file.names() {
            let values = file.read(&name).unwrap();
            assert_eq!(
                values.len(),
                file.shape(&name).unwrap().iter().product::<usize>()
            );
            let _ = file.read_integers(&name).unwrap();
        }
    }
}

#[test]
fn cut_and_damaged_files_give_errors() {
    let mut random = Random(7);
    for file in ["fused_int8", "dynamo_sdpa"] {
        let whole = golden(file);
        for len in (0..whole.len()).step_by(97) {
            assert!(parse(whole[..len].to_vec()).is_err());
        }
        for _ in 0..200 {
            let mut damaged = whole.clone();
            damage(&mut damaged, &mut random);
            read_all(damaged);
        }
    }
}

/// The same for any length of time. The last file tried stays in the folder for temporary files:
/// `SECONDS=600 cargo test -p lanerank-convert --lib damaged_for_long -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn damaged_for_long() {
    let seconds = std::env::var("SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(60);
    let files = fs::read_dir(goldens())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<Vec<u8>> = files
        .filter(|path| path.extension().is_some_and(|e| e == "onnx"))
        .map(|path| fs::read(path).unwrap())
        .collect();
    let last = std::env::temp_dir().join("lanerank-damaged.onnx");
    let (start, mut random, mut count) = (std::time::Instant::now(), Random(11), 0u64);
    while start.elapsed().as_secs() < seconds {
        let mut damaged = files[random.below(files.len())].clone();
        // Most of a file is weights, and the graph is in front.
        let graph = damaged.len() / 2;
        let tail = damaged.split_off(graph);
        damage(&mut damaged, &mut random);
        damaged.extend(tail);
        fs::write(&last, &damaged).unwrap();
        let began = std::time::Instant::now();
        read_all(damaged);
        assert!(began.elapsed().as_secs() < 20, "slow: {}", last.display());
        count += 1;
    }
    println!("{count} files");
}

#[test]
fn what_is_not_bert_is_refused_by_the_node() {
    let rename = |from: &'static str, to: &'static str| {
        move |graph: &mut GraphProto| {
            let node = graph
                .node
                .iter_mut()
                .find(|node| node.op_type == from)
                .unwrap();
            node.name = "here".into();
            node.op_type = to.into();
        }
    };
    for (file, from, to, part) in [
        ("torch_eager", "Tanh", "Sigmoid", "another activation"),
        ("torch_eager", "Tanh", "Relu", "ELECTRA"),
        ("torch_eager", "Erf", "Tanh", "the activation is neither"),
        (
            "torch_eager",
            "Sqrt",
            "Reciprocal",
            "something other than sqrt(variance",
        ),
        (
            "torch_eager",
            "Softmax",
            "Foo",
            "the operator Foo is not part of a BERT",
        ),
        (
            "fused",
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
            "a norm without a mean",
        ),
        (
            "fused",
            "Attention",
            "GroupQueryAttention",
            "attention of a decoder",
        ),
        ("fused", "BiasGelu", "QuickGelu", "another activation"),
        (
            "dynamo_sdpa",
            "LayerNormalization",
            "RMSNormalization",
            "a norm without a mean",
        ),
    ] {
        let reason = changed(file, rename(from, to));
        assert!(
            reason.contains(part) && reason.contains("node \""),
            "{from} to {to}: {reason}"
        );
    }
    let causal = changed("fused", |graph| {
        let attention = graph
            .node
            .iter_mut()
            .find(|node| node.op_type == "Attention")
            .unwrap();
        attention.attribute.push(AttributeProto {
            name: "unidirectional".into(),
            i: Some(1),
            ..AttributeProto::default()
        });
    });
    assert!(
        causal.contains("\"unidirectional\" is not supported"),
        "{causal}"
    );
    let unmasked = changed("fused", |graph| {
        for node in graph
            .node
            .iter_mut()
            .filter(|node| node.op_type == "Attention")
        {
            node.input.truncate(3);
        }
    });
    assert!(
        unmasked.contains("without the attention mask"),
        "{unmasked}"
    );
    let scaled = changed("fused", |graph| {
        for node in graph
            .node
            .iter_mut()
            .filter(|node| node.op_type == "Attention")
        {
            node.attribute.push(AttributeProto {
                name: "scale".into(),
                f: Some(0.5),
                ..AttributeProto::default()
            });
        }
    });
    assert!(scaled.contains("scores are multiplied by 0.5"), "{scaled}");
    let wired = changed("fused", |graph| {
        // The second residual connection starts a layer too early.
        let norms = graph
            .node
            .iter_mut()
            .filter(|node| node.op_type == "SkipLayerNormalization");
        let [first, second, ..] = &mut norms.collect::<Vec<_>>()[..] else {
            panic!("no norms")
        };
        second.input[1] = first.input[1].clone();
    });
    assert!(wired.contains("adds something else"), "{wired}");
}

/// As ONNX Runtime computes them, with activations rounded to 8 bits.
#[test]
fn graphs_are_computed_as_onnx_runtime_does() {
    let text = fs::read_to_string(goldens().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let source = crate::import::open(&goldens().join("fused.onnx"), &Options::default()).unwrap();
    for (file, logits) in expected["files"].as_object().unwrap() {
        let graph = Graph::parse(golden(file).into(), &mut Beside::default()).unwrap();
        let reference = Reference::new("m".as_ref(), Arc::new(graph), "logits");
        for (texts, logit) in expected["texts"]
            .as_array()
            .unwrap()
            .iter()
            .zip(logits.as_array().unwrap())
        {
            let [query, passage] = [0, 1].map(|i| texts[i].as_str().unwrap());
            let encoding = source
                .tokenizer
                .encode_pair(query, passage, source.config.max_length);
            let ours = reference.run(&encoding, false).unwrap().to_floats()[0];
            let theirs = logit[0].as_f64().unwrap() as f32;
            // A value between two integers may round either way.
            let bound = match file.as_str() {
                f if f.contains("f16") => 2e-3,
                f if f.contains("int8") || f == "qdq" => 5e-3,
                _ => 1e-5,
            };
            assert!(
                (ours - theirs).abs() <= bound,
                "{file}: {ours}, not {theirs}"
            );
        }
    }
}
