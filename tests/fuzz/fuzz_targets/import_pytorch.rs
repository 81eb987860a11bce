//! Any bytes as a PyTorch file (the form before 1.6), and as the pickle in an archive with two
//! storages, because checksums would keep changed bytes from the pickle reader: a model or an
//! error, never a panic, and no code run.

#![no_main]

mod common;

use std::io::{Cursor, Write};
use std::sync::LazyLock;

use lanerank_convert::import::Kind;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

static PLACE: LazyLock<common::Place> = LazyLock::new(common::Place::new);

fn archive(pickle: &[u8]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("data.pkl", pickle),
        ("data/0", &[1; 64]),
        ("data/1", &[2; 4096]),
    ] {
        writer.start_file(name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fuzz_target!(|bytes: &[u8]| {
    PLACE.convert("x.bin", bytes, Kind::Pytorch);
    PLACE.convert("x.bin", &archive(bytes), Kind::Pytorch);
});
