use std::io::Write;
use std::path::Path;

use half::{bf16, f16};

use super::*;

fn write(header: &str, data: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let length = (header.len() as u64).to_le_bytes();
    file.write_all(&length).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.write_all(data).unwrap();
    file
}

fn open_path(path: &Path) -> Result<SafeTensors, ImportError> {
    SafeTensors::open(Opened::disk(path)?)
}

fn open(header: &str, data: &[u8]) -> Result<SafeTensors, String> {
    let file = write(header, data);
    let name = file.path().display().to_string();
    open_path(file.path()).map_err(|e| e.to_string().replace(&name, "file"))
}

#[test]
fn values_of_every_float_dtype() {
    let header = r#"{"__metadata__":{"format":"pt"},
        "a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
        "b":{"dtype":"F16","shape":[1,2],"data_offsets":[8,12]},
        "c":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},
        "d":{"dtype":"F64","shape":[1],"data_offsets":[14,22]},
        "e":{"dtype":"I64","shape":[1],"data_offsets":[22,30]}}"#;
    let mut data = Vec::new();
    data.extend(1.5f32.to_le_bytes());
    data.extend((-2f32).to_le_bytes());
    data.extend(f16::from_f32(0.25).to_le_bytes());
    data.extend(f16::from_f32(3.0).to_le_bytes());
    data.extend(bf16::from_f32(-1.0).to_le_bytes());
    data.extend(0.1f64.to_le_bytes());
    data.extend(7i64.to_le_bytes());
    let mut tensors = open(header, &data).unwrap();
    assert_eq!(tensors.names(), ["a", "b", "c", "d", "e"]);
    assert_eq!(tensors.shape("b"), Some(vec![1, 2]));
    assert_eq!(tensors.shape("z"), None);
    assert_eq!(tensors.read("b").unwrap(), [0.25, 3.0]);
    assert_eq!(tensors.read("a").unwrap(), [1.5, -2.0]);
    assert_eq!(tensors.read("c").unwrap(), [-1.0]);
    assert_eq!(tensors.read("d").unwrap(), [0.1]);
    let error = tensors.read("e").unwrap_err().to_string();
    assert!(
        error.contains("tensor e") && error.contains("dtype I64"),
        "{error}"
    );
    assert!(tensors.read("z").is_err());
}

#[test]
fn tensors_longer_than_a_chunk_are_read_whole() {
    let count = CHUNK / 4 + 3;
    let header = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[0,{}]}}}}",
        count * 4
    );
    let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(open(&header, &data).unwrap().read("a").unwrap(), values);
}

#[test]
fn names_are_brought_to_one_form() {
    let header =
        r#"{"bert.embeddings.LayerNorm.gamma":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    let tensors = open(header, &[]).unwrap();
    assert_eq!(tensors.names(), ["embeddings.LayerNorm.weight"]);
    let header = r#"{"bert.LayerNorm.gamma":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},
        "LayerNorm.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    assert_eq!(
        open(header, &[]).err().unwrap(),
        "file: two tensors are both \"LayerNorm.weight\""
    );
}

#[test]
fn hostile_headers() {
    let tensor = |shape: &str, from: u64, to: u64| {
        format!("{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}")
    };
    let one = |shape: &str, from, to| format!("{{\"a\":{}}}", tensor(shape, from, to));
    let two = |a: (u64, u64), b: (u64, u64)| {
        let (a, b) = (tensor("[1]", a.0, a.1), tensor("[1]", b.0, b.1));
        format!("{{\"a\":{a},\"b\":{b}}}")
    };
    let cases = [
        (one("[1]", 0, 8), "bytes 0..8 of 4"),
        (one("[1]", 4, 0), "bytes 4..0 of 4"),
        (
            one("[1]", 0, u64::MAX),
            "bytes 0..18446744073709551615 of 4",
        ),
        (
            one("[2]", 0, 4),
            "4 bytes do not hold F32 values of shape [2]",
        ),
        (
            one("[4294967296,4294967296]", 0, 4),
            "do not hold F32 values",
        ),
        (one("[-1]", 0, 4), "header: tensor \"a\": invalid value"),
        (one("[0]", 0, 0), "4 bytes after the last tensor"),
        (
            two((0, 4), (0, 4)),
            "\"b\": bytes 0..4 overlap the previous tensor",
        ),
        (one("[0]", 4, 4), "bytes 0..4 before it belong to no tensor"),
        ("{".into(), "header: EOF"),
        ("[]".into(), "header: invalid type"),
        ("".into(), "header: EOF"),
        ("{\"a\":7}".into(), "header: tensor \"a\": invalid type"),
    ];
    for (header, expected) in cases {
        let error = open(&header, &[0; 4]).err().unwrap();
        assert!(
            error.starts_with("file: ") && error.contains(expected),
            "{header}: {error}"
        );
    }
}

#[test]
fn hostile_lengths() {
    for (length, expected) in [
        (u64::MAX, "the header claims 18446744073709551615 bytes"),
        (1 << 24, "in a file of 10"),
        (3, "the header claims 3 bytes in a file of 10"),
    ] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&length.to_le_bytes()).unwrap();
        file.write_all(b"{}").unwrap();
        let error = open_path(file.path()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(open_path(empty.path()).is_err());
}

#[test]
fn a_file_that_shrinks_meanwhile_is_an_error() {
    let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let file = write(header, &[0; 4]);
    let mut tensors = open_path(file.path()).unwrap();
    file.as_file().set_len(20).unwrap();
    assert!(matches!(tensors.read("a"), Err(Error::Io { .. })));
}
