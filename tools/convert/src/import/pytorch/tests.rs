use std::io::{Cursor, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

fn opened(bytes: Vec<u8>) -> Opened {
    Opened {
        path: "x.bin".into(),
        len: bytes.len() as u64,
        budget: Budget::of(bytes.len() as u64),
        reader: Box::new(Cursor::new(bytes)),
    }
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/sources");
    std::fs::read(folder.join(name)).unwrap()
}

/// Not compressed, as torch writes it.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    packed(files, CompressionMethod::Stored)
}

fn packed(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A dictionary with a tensor `a` of storage "0", 6 floats, with this offset, shape and strides.
fn program(offset: u8, shape: [u8; 2], stride: [u8; 2]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}U\x01actorch._utils\n_rebuild_tensor_v2\n((U\x07storage\
        ctorch\nFloatStorage\nU\x010U\x03cpuK\x06tQ"
        .to_vec();
    bytes.extend([b'K', offset, b'K', shape[0], b'K', shape[1], 0x86]);
    bytes.extend([b'K', stride[0], b'K', stride[1], 0x86]);
    bytes.extend(b"\x89}tRs.");
    bytes
}

fn floats() -> Vec<u8> {
    (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

fn open_program(program: &[u8]) -> Result<PyTorch, String> {
    let bytes = zip(&[("x/data.pkl", program), ("x/data/0", &floats())]);
    PyTorch::open(opened(bytes)).map_err(|e| e.to_string())
}

#[test]
fn strides() {
    for (offset, shape, stride, expected) in [
        (0, [2, 3], [3, 1], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        (0, [3, 2], [1, 3], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        (1, [2, 2], [2, 1], vec![1.0, 2.0, 3.0, 4.0]),
        (2, [1, 4], [99, 1], vec![2.0, 3.0, 4.0, 5.0]),
        (5, [2, 3], [0, 0], vec![5.0; 6]),
        (9, [0, 3], [3, 1], vec![]),
    ] {
        let mut file = open_program(&program(offset, shape, stride)).unwrap();
        assert_eq!(file.names(), ["a"]);
        assert_eq!(file.shape("a"), Some(shape.map(usize::from).to_vec()));
        assert_eq!(file.read("a").unwrap(), expected);
        assert!(file.read("b").is_err());
    }
    for (offset, shape, stride) in [
        (0, [2, 4], [3, 1]),
        (1, [2, 3], [3, 1]),
        (0, [2, 3], [4, 1]),
        (6, [1, 1], [1, 1]),
        // More elements than a usize can count.
        (0, [7, 1], [0, 0]),
        (0, [255, 255], [0, 0]),
    ] {
        let error = open_program(&program(offset, shape, stride)).err().unwrap();
        assert!(error.contains("exceed a storage of 6"), "{error}");
    }
}

#[test]
fn archives_of_other_forms() {
    let pickle = program(0, [2, 3], [3, 1]);
    let (pickle, floats) = (&pickle[..], &floats()[..]);
    for (files, expected) in [
        (vec![("x/data.pkl", pickle)], "x/data/0: missing"),
        (
            vec![("x/data.pkl", pickle), ("x/data/0", &floats[1..])],
            "x/data/0: 23 bytes, not 24",
        ),
        (vec![("x/data/0", floats)], "no data.pkl"),
        (
            vec![("x/data.pkl", pickle), ("y/data.pkl", pickle)],
            "several data.pkl",
        ),
        (
            vec![
                ("data.pkl", pickle),
                ("data/0", floats),
                ("constants.pkl", b""),
            ],
            "TorchScript",
        ),
        (
            vec![
                ("data.pkl", pickle),
                ("data/0", floats),
                ("byteorder", b"big"),
            ],
            "big-endian",
        ),
        (
            vec![("data.pkl", b"\x80\x02]."), ("data/0", floats)],
            "is not a dictionary of tensors",
        ),
        (
            vec![
                ("data.pkl", b"\x80\x02}U\x05epochK\x01s."),
                ("data/0", floats),
            ],
            "\"epoch\" is not a tensor",
        ),
        (
            vec![("data.pkl", b"\x80\x02cos\nsystem\n."), ("data/0", floats)],
            "asks for os.system",
        ),
    ] {
        let error = PyTorch::open(opened(zip(&files)))
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.starts_with("x.bin: ") && error.contains(expected),
            "{error}"
        );
    }
    let here = zip(&[
        ("data.pkl", pickle),
        ("data/0", floats),
        ("byteorder", b"little"),
    ]);
    assert!(PyTorch::open(opened(here)).is_ok());
}

#[test]
fn torch_s_own_files_cut_and_damaged() {
    for name in ["zip-bf16.bin", "strided.bin", "legacy.bin"] {
        let bytes = golden(name);
        let file = PyTorch::open(opened(bytes.clone())).unwrap();
        assert_eq!(file.shape("classifier.weight"), Some(vec![1, 32]), "{name}");
        for cut in (0..bytes.len()).step_by(97) {
            assert!(
                PyTorch::open(opened(bytes[..cut].to_vec())).is_err(),
                "{name} {cut}"
            );
        }
        // Damage gives an error or other numbers, never a panic.
        for at in (0..bytes.len()).step_by(131) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x5a;
            if let Ok(mut file) = PyTorch::open(opened(damaged)) {
                for name in file.names() {
                    let _ = file.read(&name);
                }
            }
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(name != "legacy.bin" || PyTorch::open(opened(longer)).is_err());
    }
}

#[test]
fn what_is_no_file_of_torch_s() {
    for bytes in [&b""[..], b"P", b"PK", b"\x80\x02K\x01.", b"{\"a\":1}"] {
        assert!(PyTorch::open(opened(bytes.to_vec())).is_err());
    }
}

/// Counts the bytes that are read.
struct Counted(Cursor<Vec<u8>>, Arc<AtomicU64>);

impl Read for Counted {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(to)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn tensors_that_share_a_storage_are_read_in_a_time_proportional_to_the_file() {
    let bytes = golden("strided.bin");
    let len = bytes.len() as u64;
    let count = Arc::new(AtomicU64::new(0));
    let mut file = opened(bytes.clone());
    file.reader = Box::new(Counted(Cursor::new(bytes), count.clone()));
    let mut file = PyTorch::open(file).unwrap();
    let names = file.names();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        file.read(&name).unwrap();
    }
    let read = count.load(Ordering::Relaxed);
    assert!(read < 4 * len, "{read} bytes of {len}");
}

#[test]
fn parts_of_storages_that_are_compressed_or_damaged_are_refused() {
    let part = program(1, [2, 2], [2, 1]);
    let files = [("x/data.pkl", &part[..]), ("x/data/0", &floats())];
    let compressed = packed(&files, CompressionMethod::Deflated);
    let mut file = PyTorch::open(opened(compressed)).unwrap();
    let error = file.read("a").unwrap_err().to_string();
    assert!(
        error.contains("\"x/data/0\", which is compressed"),
        "{error}"
    );

    // 4.0, of the part; and 0.0, which is not.
    for value in [4.0f32, 0.0] {
        let mut bytes = zip(&files);
        let content = floats();
        let start = bytes.windows(24).position(|it| it == content).unwrap();
        bytes[start + 4 * value as usize] ^= 1;
        let mut file = PyTorch::open(opened(bytes)).unwrap();
        let error = file.read("a").unwrap_err().to_string();
        assert!(error.contains("checksum"), "{error}");
    }
}
