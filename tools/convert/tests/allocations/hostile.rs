//! Files that ask for far more than their bytes: every one is an error, within the limit.

use std::fs;
use std::path::Path;

use lanerank_convert::import::{self, Kind, Options};
use lanerank_testing::memory::alone;
use zip::CompressionMethod::{Deflated, Stored};

use crate::sources::{Gguf, goldens, legacy, place, zip};
use crate::{bytes_of, limit, peak_of};

/// Opens the file in a folder that has the rest of a model. It must be refused, within the limit of
/// `limit`, whether named or found.
fn refused(case: &str, name: &str, file: &[u8], kind: Kind, more: u64) -> String {
    let place = place();
    let path = place.path().join(name);
    fs::write(&path, file).unwrap();
    let options = Options {
        kind: Some(kind),
        ..Options::default()
    };
    let allowed = limit(bytes_of(place.path())) + more;
    let (peak, opened) = peak_of(|| import::open(&path, &options).map(|_| ()));
    println!(
        "{case}: {} bytes, reading takes {peak} of {allowed}",
        file.len()
    );
    assert!(peak <= allowed, "{case}: {peak} of {allowed}");
    let error = opened.expect_err(case).to_string();
    assert!(error.contains(name), "{case}: {error}");
    error
}

/// A pickle of `start`, and `step` many times.
fn program(start: &[u8], step: &[u8], times: usize) -> Vec<u8> {
    [&b"\x80\x02"[..], start, &step.repeat(times), b"."].concat()
}

/// A tuple that names a storage whose key has a megabyte, in memo 0.
fn long_key() -> Vec<u8> {
    let mut id = b"(U\x07storagectorch\nFloatStorage\nX\x00\x00\x10\x00".to_vec();
    id.resize(id.len() + (1 << 20), b'k');
    id.extend(b"U\x03cpuK\x06tq\x00");
    id
}

#[test]
fn pickles_that_make_much_of_little() {
    let _alone = alone();
    let lists = b"]q\x01(".to_vec();
    let pairs = [
        &lists[..],
        &b"NN\x86".repeat(50_000),
        b"e\x85q\x02ccollections\nOrderedDict\nq\x00",
    ];
    for (case, pickle) in [
        // 1.1 MB, of which each storage would copy one: 20 GB.
        ("persistent ids", program(&long_key(), b"h\x00Q", 20_000)),
        (
            "persistent ids, dropped",
            program(&long_key(), b"h\x00Q0", 500_000),
        ),
        ("marks", program(b"", b"(", 30_000_000)),
        ("memo", program(b"N", b"\x94", 4_000_000)),
        ("tuples", program(b"", b")", 4_000_000)),
        ("tuples of one", program(b"N", b"\x85", 4_000_000)),
        ("lists", program(b"", b"](Ne", 1_000_000)),
        ("texts", program(b"", b"U\x00", 2_000_000)),
        ("bytes", program(b"", b"C\x00", 4_000_000)),
        ("dictionaries", program(b"", b"}NNs", 1_000_000)),
        (
            "copies of a dictionary",
            program(&pairs.concat(), b"h\x00h\x02R0", 100_000),
        ),
    ] {
        let pickle = &pickle[..];
        for (form, file) in [
            ("stored", zip(&[("m/data.pkl", pickle)], Stored)),
            ("deflated", zip(&[("m/data.pkl", pickle)], Deflated)),
            ("legacy", legacy(pickle)),
        ] {
            let case = format!("{case}, {form}");
            refused(&case, "x.bin", &file, Kind::Pytorch, 0);
        }
    }
    // The list of storages after an old file's pickle names one long text many times.
    let mut file = legacy(b"\x80\x02}.");
    file.extend(program(
        &[
            b"]q\x01(X\x00\x00\x10\x00".as_slice(),
            &vec![b'k'; 1 << 20],
            b"q\x00",
        ]
        .concat(),
        b"h\x00",
        20_000,
    ));
    *file.last_mut().unwrap() = b'e';
    file.push(b'.');
    refused("keys of storages", "x.bin", &file, Kind::Pytorch, 0);
}

/// The archive with another length of its entry `name`, as its directory claims.
fn claiming(mut archive: Vec<u8>, name: &[u8], len: u32) -> Vec<u8> {
    let records = archive.windows(4).enumerate();
    let records = records
        .filter(|(_, w)| *w == b"PK\x01\x02")
        .map(|(at, _)| at);
    let mut of_name = records.filter(|at| archive[at + 46..].starts_with(name));
    let at = of_name.next().unwrap();
    archive[at + 24..at + 28].copy_from_slice(&len.to_le_bytes());
    archive
}

#[test]
fn archives_that_unpack_to_more_than_they_are() {
    let _alone = alone();
    let config = fs::read(goldens("sources/model/config.json")).unwrap();
    let spaces = [&config[..], &b" ".repeat(200 << 20)].concat();
    let small = [("config.json", &config[..]), ("pytorch_model.bin", b"PK")];
    for (case, file) in [
        (
            "a config of 200 MB",
            zip(&[("config.json", &spaces)], Deflated),
        ),
        (
            "a config of 4 GB",
            claiming(zip(&small, Deflated), b"config.json", u32::MAX - 1),
        ),
        (
            "weights of 4 GB",
            claiming(zip(&small, Deflated), b"pytorch", u32::MAX - 1),
        ),
    ] {
        let error = refused(case, "x.zip", &file, Kind::Zip, 0);
        assert!(error.contains("bytes of memory"), "{case}: {error}");
    }
    // Within the limit for one entry, not for all that are read.
    let half = [&config[..], &b" ".repeat(50 << 20)].concat();
    let names = [
        "config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "model.safetensors",
    ];
    let file = zip(&names.map(|name| (name, &half[..])), Deflated);
    refused("several entries", "x.zip", &file, Kind::Zip, 0);
    // A pickle and a storage in an archive in an archive.
    let pickle = program(b"", b"(", 60 << 20);
    let inner = zip(&[("m/data.pkl", &pickle)], Deflated);
    let file = zip(
        &[("config.json", &config[..]), ("pytorch_model.bin", &inner)],
        Deflated,
    );
    refused("archives in archives", "x.zip", &file, Kind::Zip, 0);
    let names: Vec<String> = (0..60_000).map(|i| i.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    refused("many entries", "x.zip", &zip(&files, Stored), Kind::Zip, 0);
}

#[test]
fn a_name_twice_in_an_archive_is_refused_by_name() {
    let _alone = alone();
    let mut file = zip(
        &[("m/config.json", b"{}"), ("m/config.jsox", b"{}")],
        Stored,
    );
    for at in 0..file.len() - 13 {
        if &file[at..at + 13] == b"m/config.jsox" {
            file[at + 12] = b'n';
        }
    }
    let error = refused("twice", "x.zip", &file, Kind::Zip, 0);
    assert!(
        error.contains("entry \"m/config.json\": occurs twice"),
        "{error}"
    );
    let pickle = zip(
        &[("data.pkl", b"\x80\x02}."), ("dota.pkl", b"\x80\x02}.")],
        Stored,
    );
    let pickle: Vec<u8> = String::from_utf8_lossy(&pickle)
        .replace("dota", "data")
        .into();
    refused("twice, weights", "x.bin", &pickle, Kind::Pytorch, 0);
}

#[test]
fn headers_that_make_much_of_little() {
    let _alone = alone();
    let list = |item: &str, times: usize| vec![item; times].join(",");
    let entry = r#""dtype":"F32","shape":[],"data_offsets":[0,0]"#;
    for (case, header) in [
        (
            "a shape",
            format!(
                r#"{{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,0]}}}}"#,
                list("0", 2_000_000)
            ),
        ),
        ("members", format!("{{{}}}", list(r#""":0"#, 1_000_000))),
        (
            "tensors",
            format!("{{{}}}", list(&format!(r#""":{{{entry}}}"#), 200_000)),
        ),
        ("nesting", "[".repeat(1_000_000)),
    ] {
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        refused(
            &format!("safetensors: {case}"),
            "x.safetensors",
            &file,
            Kind::Safetensors,
            0,
        );
    }
    let key =
        |kind: u32, count: u64, items: &[u8]| Gguf::new(0, 1).text("a").array(kind, count, items);
    let keys = (0..200_000).fold(Gguf::new(0, 200_000), |file, i| {
        let mut file = file.text(&i.to_string()).number(7);
        file.0.push(1);
        file
    });
    let tensors = (0..200_000).fold(Gguf::new(200_000, 0), |file, i| {
        file.text(&i.to_string())
            .number(0)
            .number(0)
            .number(0)
            .number(0)
    });
    for (case, file) in [
        ("bytes as integers", key(0, 8_000_000, &vec![1; 8_000_000])),
        ("empty texts", key(8, 1_000_000, &vec![0; 8_000_000])),
        ("a long text", Gguf::new(0, 1).text(&"a".repeat(8_000_000))),
        ("keys", keys),
        ("tensors", tensors),
        ("lengths beyond the file", key(8, u64::MAX, &[0xff; 64])),
    ] {
        refused(&format!("GGUF: {case}"), "x.gguf", &file.0, Kind::Gguf, 0);
    }
}

/// Reads a single file of a tokenizer.
fn refused_text(case: &str, content: &str, json: bool) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x");
    fs::write(&path, content).unwrap();
    let read = |path: &Path| {
        if json {
            import::tokenizer_json(path)
        } else {
            import::vocab_txt(path, false)
        }
    };
    let (peak, tokenizer) = peak_of(|| read(&path).map(|_| ()));
    let allowed = limit(content.len() as u64);
    println!(
        "{case}: {} bytes, reading takes {peak} of {allowed}",
        content.len()
    );
    assert!(peak <= allowed, "{case}: {peak} of {allowed}");
    tokenizer.expect_err(case);
}

#[test]
fn texts_that_make_much_of_little() {
    let _alone = alone();
    refused_text("empty lines", &"\n".repeat(4_000_000), false);
    let lines: String = (0..300_000).map(|i| format!("{i:x}\n")).collect();
    refused_text("short lines", &lines, false);
    let list = |item: &str, times: usize| vec![item; times].join(",");
    let vocab =
        |vocab: String| format!(r#"{{"model":{{"type":"WordPiece","vocab":{{{vocab}}}}}}}"#);
    let unigram =
        |vocab: String| format!(r#"{{"model":{{"type":"Unigram","unk_id":0,"vocab":[{vocab}]}}}}"#);
    let added = |added: String| format!(r#"{{"added_tokens":[{added}],"model":{{}}}}"#);
    for (case, json) in [
        (
            "a vocabulary of one piece",
            vocab(list(r#""":0"#, 1_000_000)),
        ),
        (
            "added tokens",
            added(list(r#"{"id":0,"content":""}"#, 300_000)),
        ),
        (
            "a Unigram of empty pieces",
            unigram(list(r#"["",0]"#, 1_000_000)),
        ),
        (
            "a Unigram of too many pieces",
            unigram(list(r#"["",0]"#, 3_000_000)),
        ),
        ("nesting", "[".repeat(2_000_000)),
        (
            "escapes",
            vocab(format!(r#""{}":0"#, "\\u0001".repeat(1_000_000))),
        ),
    ] {
        refused_text(case, &json, true);
    }
    let place = place();
    fs::copy(
        goldens("sources/model/model.safetensors"),
        place.path().join("model.safetensors"),
    )
    .unwrap();
    for (name, content) in [
        (
            "tokenizer_config.json",
            format!(r#"{{"x":[{}]}}"#, list("0", 4_000_000)),
        ),
        (
            "tokenizer_config.json",
            format!(r#"{{"x":{{{}}}}}"#, list(r#""":0"#, 1_500_000)),
        ),
        (
            "tokenizer_config.json",
            format!(r#"{{"never_split":[{}]}}"#, list("[]", 2_000_000)),
        ),
        (
            "tokenizer_config.json",
            format!(r#"{{"extra_special_tokens":[{}]}}"#, list("{}", 2_000_000)),
        ),
        (
            "special_tokens_map.json",
            format!(
                r#"{{"additional_special_tokens":[{}]}}"#,
                list(r#""""#, 2_000_000)
            ),
        ),
        (
            "added_tokens.json",
            format!("{{{}}}", list(r#""":0"#, 2_000_000)),
        ),
        (
            "config.json",
            format!(r#"{{"id2label":{{"0":[{}]}}}}"#, list("0", 4_000_000)),
        ),
        (
            "config.json",
            format!(r#"{{"quantization_config":[{}]}}"#, list("{}", 3_000_000)),
        ),
    ] {
        let path = place.path().join(name);
        let before = fs::read(&path).ok();
        fs::write(&path, &content).unwrap();
        let allowed = limit(bytes_of(place.path()));
        let (peak, opened) =
            peak_of(|| import::open(place.path(), &Options::default()).map(|_| ()));
        println!(
            "{name}: {} bytes, reading takes {peak} of {allowed}",
            content.len()
        );
        assert!(peak <= allowed, "{name}: {peak} of {allowed}");
        opened.expect_err(name);
        match before {
            Some(before) => fs::write(&path, before).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    }
}

#[cfg(feature = "onnx")]
#[test]
fn graphs_that_make_much_of_little() {
    use crate::sources::{constant, field, node, onnx};
    let _alone = alone();
    let many = |op: &str, inputs: &[&str]| {
        let inputs: Vec<String> = inputs.iter().map(|&name| name.into()).collect();
        let made = (0..200).map(|i| node(op, &inputs, &format!("n{i}")));
        let names: Vec<String> = (0..200).map(|i| format!("n{i}")).collect();
        let mut graph = constant("shape", &[4096, 2048]);
        graph.extend(constant("one", &[1]));
        made.for_each(|node| graph.extend(node));
        graph.extend(node("Max", &names, "out"));
        graph.extend(field(12, &field(1, b"out")));
        graph
    };
    let values = vec![1; 250_000];
    let mut wide = constant("wide", &values);
    wide.extend(node("Max", &vec!["wide".to_owned(); 4000], "out"));
    wide.extend(field(12, &field(1, b"out")));
    let ints = field(1, &field(5, &field(8, &vec![1; 4_000_000])));
    for (case, graph) in [
        ("nodes", field(1, b"").repeat(2_000_000)),
        ("constants", field(5, b"").repeat(1_000_000)),
        ("inputs", field(11, b"").repeat(1_000_000)),
        ("names", field(1, &field(1, b"").repeat(2_000_000))),
        ("attributes", field(1, &field(5, b"").repeat(1_000_000))),
        ("numbers", ints),
        ("floats", many("ConstantOfShape", &["shape"])),
        ("integers", many("Expand", &["one", "shape"])),
        ("one constant, many times", wide),
    ] {
        // A node's own values are computed before they are counted.
        let node = lanerank_convert::import::NODE_BYTES;
        refused(
            &format!("ONNX: {case}"),
            "x.onnx",
            &onnx(&graph),
            Kind::Onnx,
            node,
        );
    }
}
