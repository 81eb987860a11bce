//! Memory: what reading and converting a source holds is bounded by its size, for every format, on
//! ordinary files and on files that ask for gigabytes in a few bytes.
//!
//! A separate process whose tests run one at a time, because the allocator counts for all threads.

mod hostile;
mod ordinary;
mod sources;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanerank_convert::import::{FIXED_BYTES, SOURCE_FACTOR};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches no allocated
// memory.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most that `run` holds, and its result.
fn peak_of<T>(run: impl FnOnce() -> T) -> (u64, T) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = run();
    ((PEAK.load(Ordering::Relaxed) - before) as u64, result)
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
