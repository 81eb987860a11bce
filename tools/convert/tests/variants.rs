//! Sources that differ from a plain folder without another meaning: they convert to the same bytes,
//! or are refused with what to do.

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::{Encoder, Model};
use lanerank_convert::convert::{ConvertOptions, WeightDtype};
use lanerank_convert::import::{self, Options};
use serde_json::{Value, json};

fn data(name: &str) -> PathBuf {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
    data.join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if from.is_dir() {
            copy(&from, &to.join(name));
        } else {
            fs::copy(&from, to.join(name)).unwrap();
        }
    }
}

/// A copy of a model folder, changed.
fn changed(model: &str, change: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&data(model), folder.path());
    change(folder.path());
    folder
}

/// The converted file's bytes, in f32.
fn lane(path: &Path) -> Result<Vec<u8>, String> {
    let mut source = import::open(path, &Options::default()).map_err(|e| e.to_string())?;
    let options = ConvertOptions {
        dtype: WeightDtype::F32,
        ..ConvertOptions::default()
    };
    let file = source.convert(&options, &mut |_, _| ());
    Ok(file.map_err(|e| e.to_string())?.to_vec())
}

fn refusal(path: &Path) -> String {
    lane(path).expect_err("it was accepted")
}

const MODEL: &str = "sources/model";

/// Renames the tensors of a safetensors file.
fn rename(path: &Path, name: impl Fn(&str) -> String) {
    let file = fs::read(path).unwrap();
    let length = u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let entries = header.as_object().unwrap().iter();
    let renamed = entries.map(|(key, value)| match key.as_str() {
        "__metadata__" => (key.clone(), value.clone()),
        _ => (name(key), value.clone()),
    });
    let header = Value::Object(renamed.collect()).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(&file[8 + length..]);
    fs::write(path, bytes).unwrap();
}

#[test]
fn weights_under_the_prefix_of_a_wrapper_are_the_same() {
    let plain = lane(&data(MODEL)).unwrap();
    for prefix in ["module.", "_orig_mod.", "model.", "_orig_mod.module.model."] {
        let folder = changed(MODEL, |folder| {
            rename(&folder.join("model.safetensors"), |name| {
                format!("{prefix}{name}")
            });
        });
        assert_eq!(lane(folder.path()).as_ref(), Ok(&plain), "{prefix}");
    }
    let folder = changed("sources/sharded", |folder| {
        copy(&data(MODEL), folder);
        fs::remove_file(folder.join("model.safetensors")).unwrap();
        let prefixed = |name: &str| format!("module.{name}");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ext| ext == "safetensors") {
                rename(&path, prefixed);
            }
        }
        let index = folder.join("model.safetensors.index.json");
        let mut content: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
        let map = content["weight_map"].as_object().unwrap().iter();
        let map = map
            .map(|(name, file)| (prefixed(name), file.clone()))
            .collect();
        content["weight_map"] = Value::Object(map);
        fs::write(index, content.to_string()).unwrap();
    });
    assert_eq!(lane(folder.path()), Ok(plain));
}

#[test]
fn an_unknown_prefix_is_named() {
    let folder = changed(MODEL, |folder| {
        rename(&folder.join("model.safetensors"), |name| {
            format!("student.{name}")
        });
    });
    let error = refusal(folder.path());
    assert!(error.contains("model.safetensors: "), "{error}");
    assert!(
        error.contains("the prefix \"student.\" is not known"),
        "{error}"
    );
}

#[test]
fn adapters_are_refused_with_the_way_to_merge_them() {
    let config = json!({"peft_type": "LORA", "base_model_name_or_path": "x/y"}).to_string();
    let adapter = |folder: &Path| {
        let name = "adapter_model.safetensors";
        fs::rename(folder.join("model.safetensors"), folder.join(name)).unwrap();
        rename(&folder.join(name), |name| {
            format!("base_model.model.{name}")
        });
        fs::write(folder.join("adapter_config.json"), &config).unwrap();
        fs::remove_file(folder.join("config.json")).unwrap();
    };
    let folder = changed(MODEL, adapter);
    for path in [
        folder.path().to_owned(),
        folder.path().join("adapter_model.safetensors"),
    ] {
        let error = refusal(&path);
        assert!(
            error.contains("adapter_config.json: a PEFT adapter"),
            "{error}"
        );
        assert!(error.contains("merge_and_unload()"), "{error}");
    }
    // Beside other weights, and unmerged in a file of weights.
    let beside = changed(MODEL, |folder| {
        fs::write(folder.join("adapter_config.json"), &config).unwrap();
    });
    assert!(refusal(beside.path()).contains("merge_and_unload()"));
    let unmerged = changed(MODEL, |folder| {
        rename(&folder.join("model.safetensors"), |name| {
            format!("base_model.model.{name}")
        });
    });
    assert!(refusal(unmerged.path()).contains("merge_and_unload()"));
}

#[test]
fn git_lfs_pointers_are_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\n\
         oid sha256:a0e7364ddf91ff7028f1102e1b91ac7a72e3db4061241bd84efe45c72c9af03a\nsize 17560\n";
    let check = |path: &Path, named: &str| {
        let error = refusal(path);
        assert!(
            error.contains(&format!("{named}: is a Git LFS pointer")),
            "{error}"
        );
        assert!(error.contains("`git lfs pull`"), "{error}");
    };
    for name in [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "vocab.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ] {
        let folder = changed(MODEL, |folder| {
            fs::write(folder.join(name), pointer).unwrap()
        });
        check(folder.path(), name);
    }
    // As the only weights, and named directly.
    for name in [
        "pytorch_model.bin",
        "model.onnx",
        "m.gguf",
        "m.zip",
        "m.lane",
        "m",
    ] {
        let folder = changed(MODEL, |folder| {
            fs::remove_file(folder.join("model.safetensors")).unwrap();
            fs::write(folder.join(name), pointer).unwrap();
        });
        check(&folder.path().join(name), name);
        if name.starts_with("pytorch") || name.ends_with(".onnx") || name.ends_with(".gguf") {
            check(folder.path(), name);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.lane");
    fs::write(&file, pointer).unwrap();
    let error = Model::open(&file).err().unwrap().to_string();
    assert!(
        error.contains("Git LFS pointer") && error.contains("`git lfs pull`"),
        "{error}"
    );
}

#[test]
fn numbers_that_python_writes_into_json() {
    let plain = lane(&data(MODEL)).unwrap();
    let with = |file: &'static str, key: &str, value: &str| {
        changed(MODEL, |folder| {
            let path = folder.join(file);
            let mut content: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            content[key] = json!("@");
            fs::write(&path, content.to_string().replace("\"@\"", value)).unwrap();
        })
    };
    for (file, key, value) in [
        ("config.json", "classifier_dropout", "NaN"),
        ("config.json", "initializer_range", "-Infinity"),
        ("tokenizer_config.json", "pad_to_multiple_of", "NaN"),
    ] {
        assert_eq!(
            lane(with(file, key, value).path()).as_ref(),
            Ok(&plain),
            "{key}"
        );
    }
    for (file, key, value) in [
        ("config.json", "hidden_size", "NaN"),
        ("config.json", "num_labels", "Infinity"),
        ("config.json", "layer_norm_eps", "NaN"),
        ("config.json", "layer_norm_eps", "Infinity"),
        ("tokenizer_config.json", "model_max_length", "NaN"),
    ] {
        let error = refusal(with(file, key, value).path());
        assert!(error.contains(file) && error.contains(key), "{error}");
    }
    // As for transformers, there is no limit then except the positions.
    let folder = with("tokenizer_config.json", "model_max_length", "Infinity");
    let source = import::open(folder.path(), &Options::default()).unwrap();
    assert_eq!(
        source.config.max_length,
        source.config.max_position_embeddings
    );
}

#[test]
fn byte_order_marks_and_line_ends_of_a_vocabulary() {
    let with = |change: &dyn Fn(String) -> Vec<u8>, json: bool| {
        let folder = changed(MODEL, |folder| {
            let path = folder.join("vocab.txt");
            fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
            if !json {
                fs::remove_file(folder.join("tokenizer.json")).unwrap();
            }
        });
        lane(folder.path())
    };
    // transformers gives the same ids for all of these.
    let crlf = |text: String| text.replace('\n', "\r\n");
    let changes: [&dyn Fn(String) -> Vec<u8>; 4] = [
        &|text| format!("\u{feff}{text}").into(),
        &|text| crlf(text).into(),
        &|text| format!("\u{feff}{}", crlf(text)).into(),
        &|text| text.replace("\nwhat\n", "\nwhat \u{a0}\n").into(),
    ];
    for json in [false, true] {
        let plain = with(&|text| text.into(), json).unwrap();
        for change in changes {
            assert_eq!(with(change, json).as_ref(), Ok(&plain));
        }
    }
    // transformers does not find the first word then.
    let first = |text: String| format!("\u{feff}what\n{}", text.replace("\nwhat\n", "\n")).into();
    let error = with(&first, false).unwrap_err();
    assert!(
        error.contains("byte order mark") && error.contains("\"what\""),
        "{error}"
    );
    let error = with(&|text| text.replace('\n', "\r").into(), false).unwrap_err();
    assert!(error.contains("carriage returns alone"), "{error}");
    let utf16 = |text: String| {
        let units = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .collect::<Vec<_>>();
        units.into_iter().flat_map(u16::to_le_bytes).collect()
    };
    let error = with(&utf16, false).unwrap_err();
    assert!(error.contains("vocab.txt: is UTF-16"), "{error}");
}

#[test]
fn byte_order_marks_of_json_files() {
    let plain = lane(&data(MODEL)).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let folder = changed(MODEL, |folder| {
            let text = fs::read_to_string(folder.join(name))
                .unwrap()
                .replace('\n', "\r\n");
            fs::write(folder.join(name), format!("\u{feff}{text}")).unwrap();
        });
        assert_eq!(lane(folder.path()).as_ref(), Ok(&plain), "{name}");
    }
}

/// Compares with sentence-transformers (`make_masked_lm_goldens.py`).
#[test]
fn a_masked_lm_with_files_of_sentence_transformers_is_an_encoder() {
    const FOLDER: &str = "model/masked-lm";
    let expected = fs::read(data(FOLDER).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let texts: Vec<&str> = expected["texts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    assert!(texts.len() > 4);
    for class in ["BertForMaskedLM", "BertForPreTraining"] {
        let folder = changed(FOLDER, |folder| {
            let path = folder.join("config.json");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("BertForMaskedLM", class)).unwrap();
        });
        let model = Model::from_bytes(&lane(folder.path()).unwrap()).unwrap();
        let encoder = Encoder::builder().opened(model).build().unwrap();
        let vectors = encoder.encode(&texts).unwrap();
        for (ours, theirs) in vectors.iter().zip(expected["vectors"].as_array().unwrap()) {
            let theirs: Vec<f64> = theirs
                .as_array()
                .unwrap()
                .iter()
                .flat_map(Value::as_f64)
                .collect();
            assert_eq!(ours.len(), theirs.len());
            let differences = ours
                .iter()
                .zip(&theirs)
                .map(|(a, b)| (f64::from(*a) - b).abs());
            let worst = differences.fold(0.0, f64::max);
            assert!(worst < 1e-5, "{class}: {worst}");
        }
    }
    let bare = changed(FOLDER, |folder| {
        fs::remove_file(folder.join("modules.json")).unwrap();
        fs::remove_dir_all(folder.join("1_Pooling")).unwrap();
    });
    let error = refusal(bare.path());
    assert!(error.contains("predicts words"), "{error}");
}
