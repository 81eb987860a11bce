use std::io::Cursor;

use half::bf16;

use super::*;

/// Builds GGUF files.
struct File(Vec<u8>);

impl File {
    fn new(tensors: u64, keys: u64) -> File {
        let mut file = File(b"GGUF".to_vec());
        file.0.extend(3u32.to_le_bytes());
        file.0.extend(tensors.to_le_bytes());
        file.0.extend(keys.to_le_bytes());
        file
    }

    fn text(&mut self, text: &str) -> &mut File {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
        self
    }

    fn key(&mut self, name: &str, kind: u32, value: &[u8]) -> &mut File {
        self.text(name).0.extend(kind.to_le_bytes());
        self.0.extend(value);
        self
    }

    fn tensor(&mut self, name: &str, dims: &[u64], kind: u32, offset: u64) -> &mut File {
        self.text(name).0.extend((dims.len() as u32).to_le_bytes());
        dims.iter().for_each(|dim| self.0.extend(dim.to_le_bytes()));
        self.0.extend(kind.to_le_bytes());
        self.0.extend(offset.to_le_bytes());
        self
    }

    fn data(&mut self, data: &[u8]) -> Result<Reader, String> {
        self.0.resize(self.0.len().next_multiple_of(32), 0);
        self.0.extend(data);
        open(self.0.clone())
    }
}

fn open(bytes: Vec<u8>) -> Result<Reader, String> {
    Reader::open(Opened {
        path: "x".into(),
        len: bytes.len() as u64,
        budget: Budget::of(bytes.len() as u64),
        reader: Box::new(Cursor::new(bytes)),
    })
}

#[test]
fn values_of_every_kind() {
    let mut file = File::new(0, 13);
    file.key("a", 0, &[200]).key("b", 1, &[200]);
    file.key("c", 2, &[1, 1]).key("d", 3, &[255, 255]);
    file.key("e", 4, &7u32.to_le_bytes());
    file.key("f", 5, &(-7i32).to_le_bytes());
    file.key("g", 6, &0.5f32.to_le_bytes()).key("h", 7, &[1]);
    file.key("i", 8, b"\x02\0\0\0\0\0\0\0hi");
    file.key("j", 10, &9u64.to_le_bytes());
    file.key("k", 12, &0.25f64.to_le_bytes());
    file.key("l", 9, b"\x08\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0x");
    file.key("m", 9, b"\0\0\0\0\x02\0\0\0\0\0\0\0\x01\x02");
    let reader = file.data(&[]).unwrap();
    let expected = [
        Value::Int(200),
        Value::Int(-56),
        Value::Int(257),
        Value::Int(-1),
        Value::Int(7),
        Value::Int(-7),
        Value::Float(0.5),
        Value::Bool(true),
        Value::Text("hi".into()),
        Value::Int(9),
        Value::Float(0.25),
        Value::Texts(vec!["x".into()]),
        Value::Ints(vec![1, 2]),
    ];
    assert!(
        reader.metadata.values().eq(&expected),
        "{:?}",
        reader.metadata
    );
}

#[test]
fn elements_of_every_type() {
    let mut file = File::new(4, 0);
    file.tensor("f32", &[2], 0, 0)
        .tensor("bf16", &[1, 2], 30, 32);
    file.tensor("f16", &[2, 1], 1, 64)
        .tensor("q8", &[32], 8, 96);
    let mut data = vec![0; 96];
    data[..4].copy_from_slice(&1.5f32.to_le_bytes());
    data[34..36].copy_from_slice(&bf16::from_f32(-2.0).to_le_bytes());
    data[64..66].copy_from_slice(&f16::from_f32(0.25).to_le_bytes());
    data.extend(f16::from_f32(0.5).to_le_bytes());
    data.extend((0..32).map(|i| (i - 16) as u8));
    let mut reader = file.data(&data).unwrap();
    assert_eq!(reader.tensors["bf16"].shape, [2, 1]);
    assert_eq!(reader.read("f32").unwrap().unwrap(), [1.5, 0.0]);
    assert_eq!(reader.read("bf16").unwrap().unwrap(), [0.0, -2.0]);
    assert_eq!(reader.read("f16").unwrap().unwrap(), [0.25, 0.0]);
    let expected: Vec<f32> = (0..32).map(|i| 0.5 * (i - 16) as f32).collect();
    assert_eq!(reader.read("q8").unwrap().unwrap(), expected);
    assert!(reader.read("no").is_none());
}

#[test]
fn places_that_make_no_sense() {
    for (tensors, expected) in [
        (vec![("a", vec![9], 0, 0)], "not in the file"),
        (vec![("a", vec![1], 0, u64::MAX - 31)], "not in the file"),
        (vec![("a", vec![1], 0, 4)], "not aligned"),
        (
            vec![("a", vec![1], 0, 0), ("b", vec![1], 0, 0)],
            "in another tensor",
        ),
        (
            vec![("a", vec![1], 0, 0), ("a", vec![0], 0, 32)],
            "occurs twice",
        ),
        (vec![("a", vec![1 << 60, 1 << 60], 0, 0)], "shape"),
        (vec![("a", vec![1 << 60], 0, 0)], "not in the file"),
        (vec![("a", vec![1 << 62], 0, 0)], "shape"),
        (vec![("a", vec![16, 2], 8, 0)], "shape"),
        (vec![("a", vec![1; 5], 0, 0)], "5 dimensions"),
        (vec![("a", vec![32], 12, 0)], "Q4_K is not supported"),
        (vec![("a", vec![32], 99, 0)], "type 99 is not supported"),
    ] {
        let mut file = File::new(tensors.len() as u64, 0);
        for (name, dims, kind, offset) in &tensors {
            file.tensor(name, dims, *kind, *offset);
        }
        let error = file.data(&[0; 32]).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn metadata_that_makes_no_sense() {
    for (kind, value, expected) in [
        (13, &b""[..], "type 13"),
        (8, b"\xff\xff\xff\xff\xff\xff\xff\xff", "a text of"),
        (8, b"\x01\0\0\0\0\0\0\0\xff", "not UTF-8"),
        (10, b"\xff\xff\xff\xff\xff\xff\xff\xff", "too large"),
        (9, b"\x09\0\0\0\x01\0\0\0\0\0\0\0", "array of arrays"),
        (9, b"\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", "ends early"),
        (4, b"\0", "ends early"),
    ] {
        let mut file = File::new(0, 1);
        file.key("k", kind, value);
        let error = open(file.0).err().unwrap();
        assert!(
            error.starts_with("key 0: ") && error.contains(expected),
            "{error}"
        );
    }
    let mut twice = File::new(0, 2);
    twice.key("k", 0, &[1]).key("k", 0, &[1]);
    assert!(open(twice.0).err().unwrap().contains("occurs twice"));
    for alignment in [0u32, 7, 24, 1 << 20] {
        let mut file = File::new(0, 1);
        file.key("general.alignment", 4, &alignment.to_le_bytes());
        assert!(open(file.0).err().unwrap().contains("general.alignment"));
    }
    for bytes in [
        &b""[..],
        b"GGML",
        b"GGUF\x01\0\0\0",
        b"GGUF\0\0\0\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        assert!(open(bytes.to_vec()).is_err());
    }
    assert!(open(File::new(u64::MAX, 0).0).is_err() && open(File::new(0, u64::MAX).0).is_err());
}
