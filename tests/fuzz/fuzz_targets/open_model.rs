//! Any bytes as a model file: a working model or an error, never a panic.
//!
//! Checksums cover every byte, so changed bytes would rarely get past them. Each input is therefore
//! opened twice: as it is, and with corrected checksums.

#![no_main]

use lanerank::kernels::Kernels;
use lanerank::{Encoder, Model, Ranker};
use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh64::xxh64;

const HEADER: usize = 64;
const ENTRY: usize = 128;

fn read_u64(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

fn write_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Corrects magic, version, length and checksums, as far as the file goes.
fn repair(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    bytes[..8].copy_from_slice(b"LANERANK");
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    let len = bytes.len();
    write_u64(bytes, 16, len as u64);
    let count = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let entries = count.min((len - HEADER) / ENTRY);
    for entry in (0..entries).map(|i| HEADER + i * ENTRY) {
        let (start, size) = (read_u64(bytes, entry + 96), read_u64(bytes, entry + 104));
        let section = start
            .checked_add(size)
            .and_then(|end| bytes.get(start..end));
        if let Some(checksum) = section.map(|section| xxh64(section, 0)) {
            write_u64(bytes, entry + 112, checksum);
        }
    }
    let directory = xxh64(&bytes[HEADER..HEADER + entries * ENTRY], 0);
    write_u64(bytes, 24, directory);
    let header = xxh64(&bytes[..56], 0);
    write_u64(bytes, 56, header);
}

fn open(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes) else {
        return;
    };
    let _ = model.check(Kernels::best());
    let texts = ["the river bank, \u{65e5}\u{672c} caf\u{e9}", ""];
    if let Ok(ranker) = Ranker::builder().opened(model.clone()).threads(1).build() {
        if let Ok(scores) = ranker.scores("what is a bank", &texts) {
            assert!(scores.len() == texts.len() && scores.iter().all(|s| !s.is_nan()));
        }
    }
    if let Ok(encoder) = Encoder::builder().opened(model).threads(1).build() {
        let _ = encoder.encode(&texts);
    }
}

fuzz_target!(|bytes: &[u8]| {
    open(bytes);
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    if repaired != bytes {
        open(&repaired);
    }
});
