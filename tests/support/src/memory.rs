//! An allocator that counts, for tests of memory.
//!
//! A test's process installs it, and runs one test at a time, because it counts for all threads:
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The system's allocator, counted.
pub struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches no allocated
// memory.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Waits until no other test measures.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Allocations so far, on all threads.
pub fn allocations() -> usize {
    let count = COUNT.load(Ordering::Relaxed);
    assert!(count > 0, "the test has not installed `Counting`");
    count
}

/// Starts a measurement.
pub fn start() -> Measurement {
    let before = LIVE.load(Ordering::Relaxed);
    assert!(before > 0, "the test has not installed `Counting`");
    PEAK.store(before, Ordering::Relaxed);
    Measurement { before }
}

/// A measurement that was started.
pub struct Measurement {
    before: usize,
}

impl Measurement {
    /// The most bytes that were held since the start, besides those held then.
    pub fn peak(self) -> usize {
        PEAK.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

/// The most bytes that `run` holds, and its result.
pub fn peak_of<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let measurement = start();
    let result = run();
    (measurement.peak(), result)
}
