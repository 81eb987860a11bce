//! Options of a conversion.

use lanerank::format::directory::Dtype;
use lanerank::kernels::{Isa, Kernels};
use lanerank::model::ModelConfig;
use lanerank::{Model, Ranker};
use lanerank_convert::Error;
use lanerank_convert::convert::{ConvertOptions, WeightDtype, convert, integers};
use lanerank_convert::{IntegerRows, TensorSource};
use lanerank_testing::models::{RandomSource, classifier, int8_model, source, tokenizer};

#[test]
fn single_weights_can_be_kept() {
    let config = classifier(1);
    let run = |keep: &[&str]| {
        let options = ConvertOptions {
            dtype: WeightDtype::Int8,
            keep: keep.iter().map(|k| k.parse().unwrap()).collect(),
            ..ConvertOptions::default()
        };
        convert(
            &config,
            &tokenizer(),
            &mut source(&config, 1),
            &options,
            &mut |_, _| {},
        )
    };
    let model = Model::from_bytes(&run(&["layers.0=f32", "pooler=f16", "word=f32"]).unwrap());
    let model = model.unwrap();
    let dtype = |name: &str| {
        let section = model.sections().iter().find(|s| s.name == name).unwrap();
        section.dtype.to_string()
    };
    assert_eq!(dtype("layers.0.attention.qkv.weight"), "f32");
    assert_eq!(dtype("layers.0.ffn.output.weight"), "f32");
    assert_eq!(dtype("layers.1.ffn.output.weight"), "int8");
    assert_eq!(dtype("pooler.weight"), "f16");
    assert_eq!(dtype("embeddings.word.weight"), "f32");
    assert_eq!(dtype("embeddings.position.weight"), "int8");
    model.check(Kernels::best()).unwrap();
    let error = run(&["layers.7=f32"]).err().unwrap().to_string();
    assert!(
        error.contains("layers.7: no weight has this name"),
        "{error}"
    );
    assert!("pooler".parse::<lanerank_convert::convert::Keep>().is_err());
    assert!(
        "pooler=int4"
            .parse::<lanerank_convert::convert::Keep>()
            .is_err()
    );
}

#[test]
fn the_precision_of_activations_is_stored() {
    let config = classifier(1);
    let run = |activations: &str, dtype| {
        let options = ConvertOptions {
            dtype,
            activations: activations.parse()?,
            ..ConvertOptions::default()
        };
        let mut source = source(&config, 1);
        let file = convert(&config, &tokenizer(), &mut source, &options, &mut |_, _| {})?;
        Ok::<_, Error>(Model::from_bytes(&file)?)
    };
    let logits = |model: &Model| {
        let report = model.check(Kernels::for_isa(Isa::Reference).unwrap());
        report.unwrap().computed
    };
    let mut seen = vec![logits(&run("auto", WeightDtype::F32).unwrap())];
    for (choice, bits) in [
        ("a8", 0),
        ("a16", 15),
        ("a8,ffn.output=a16", 8),
        ("a8,attention=a16", 3),
        ("a16,ffn.output=a8", 7),
        ("a8,qkv=a16", 1),
        ("a8,output=a16,ffn=a8", 2),
        ("a8,intermediate=a16", 4),
    ] {
        let model = run(choice, WeightDtype::Int8).unwrap();
        assert_eq!(model.activations().to_bits(), bits, "{choice}");
        let shown = run(&model.activations().to_string(), WeightDtype::Int8).unwrap();
        assert_eq!(shown.activations(), model.activations(), "{choice}");
        let logits = logits(&model);
        assert!(
            !seen.contains(&logits),
            "{choice} computes what another did"
        );
        seen.push(logits);
    }
    let auto = |num_hidden_layers| {
        let config = ModelConfig {
            num_hidden_layers,
            ..classifier(1)
        };
        int8_model(&config, "auto").activations().to_bits()
    };
    assert_eq!([2, 4, 5, 12].map(auto), [0; 4]);
    for (choice, words) in [
        ("a4", "\"a4\" is none of"),
        ("", "\"\" is none of"),
        ("a8,a16", "\"a16\" is none of"),
        ("a8,=a16", "\"=a16\" is none of"),
        ("a8,qkv=16", "\"qkv=16\" is none of"),
        ("qkv=a16,a8", "\"a8\" is none of"),
        ("a8,pooler=a16", "pooler matches none of"),
    ] {
        let error = run(choice, WeightDtype::Int8).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = run("a16", WeightDtype::F16).err().unwrap().to_string();
    assert!(error.contains("no matrix is int8"), "{error}");
}

#[test]
fn embeddings_of_deep_models_have_finer_scales() {
    let scale = |num_hidden_layers| {
        let config = ModelConfig {
            num_hidden_layers,
            ..classifier(1)
        };
        let model = int8_model(&config, "auto");
        let mut sections = model.sections().iter();
        let found = sections.find(|s| s.name == "embeddings.word.scale");
        let section = found.unwrap();
        (section.dtype, section.shape.clone())
    };
    let rows = classifier(1).vocab_size;
    assert_eq!(scale(4), (Dtype::F32, vec![rows]));
    assert_eq!(scale(5), (Dtype::F16, vec![rows, 2]));
}

/// A source whose matrices are integers, with one scale for all rows.
struct Quantized(RandomSource);

impl TensorSource for Quantized {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.shape(name)
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        match self.read_integers(name)? {
            Some(rows) => Ok(rows
                .values
                .iter()
                .map(|&v| f32::from(v) * rows.scales[0])
                .collect()),
            None => self.0.read(name),
        }
    }

    fn read_integers(&mut self, name: &str) -> Result<Option<IntegerRows>, Error> {
        let Some(&[rows, _]) = self.0.shape(name).as_deref() else {
            return Ok(None);
        };
        let values = self.0.read(name)?;
        let scale = values.iter().fold(0.0f32, |most, v| most.max(v.abs())) / 127.0;
        Ok(Some(IntegerRows {
            values: values.iter().map(|v| (v / scale).round() as i16).collect(),
            scales: vec![scale; rows],
        }))
    }
}

/// Tables of deep models have scales per group, which rows of integers do not fit.
#[test]
fn integers_are_kept_but_in_the_tables_of_deep_models() {
    for (layers, tables) in [(2, "kept"), (6, "requantized")] {
        let config = ModelConfig {
            num_hidden_layers: layers,
            ..classifier(1)
        };
        let run = |dtype| {
            let options = ConvertOptions {
                dtype,
                ..ConvertOptions::default()
            };
            let mut source = Quantized(source(&config, 1));
            convert(&config, &tokenizer(), &mut source, &options, &mut |_, _| {}).unwrap()
        };
        let file = run(WeightDtype::Int8);
        let said = integers(&file).unwrap();
        let of = |name: &str| said.iter().find(|(n, _)| n == name).unwrap().1.as_str();
        assert_eq!(of("embeddings.word"), tables);
        assert_eq!(of("layers.1.ffn.output"), "kept");
        let logits = |file: &[u8]| {
            let ranker = Ranker::builder()
                .opened(Model::from_bytes(file).unwrap())
                .build()
                .unwrap();
            ranker
                .scores("bread", &["keep bread fresh", "a lamp"])
                .unwrap()
        };
        let (ours, exact) = (logits(&file), logits(&run(WeightDtype::F32)));
        for (ours, exact) in ours.iter().zip(exact) {
            assert!(
                (ours - exact).abs() < 0.05,
                "{layers} layers: {ours} {exact}"
            );
        }
    }
}
