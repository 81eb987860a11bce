//! Memory: what reading and converting a source holds is bounded by its size, for every format, on
//! ordinary files and on files that ask for gigabytes in a few bytes; and what a hub sends.
//!
//! A separate process whose tests run one at a time, because the allocator counts for all threads.

mod hostile;
#[cfg(feature = "hub")]
mod hub;
mod ordinary;
mod sources;

use std::path::Path;

use lanerank_convert::import::{FIXED_BYTES, SOURCE_FACTOR};
use lanerank_testing::memory::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `run` holds, and its result.
fn peak_of<T>(run: impl FnOnce() -> T) -> (u64, T) {
    let (peak, result) = memory::peak_of(run);
    (peak as u64, result)
}

/// What reading a source of this many bytes may hold.
fn limit(source: u64) -> u64 {
    SOURCE_FACTOR * source + FIXED_BYTES
}

/// Bytes of a file, or of all files in a folder.
fn bytes_of(path: &Path) -> u64 {
    if !path.is_dir() {
        return path.metadata().unwrap().len();
    }
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| bytes_of(&entry.unwrap().path())).sum()
}
