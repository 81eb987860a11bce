//! Tiers that tests emulate where the CPU lacks the instructions.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Isa, Kernels};

/// A bit per tier.
static ASSUMED: AtomicU32 = AtomicU32::new(0);

pub(crate) fn is_assumed(isa: Isa) -> bool {
    ASSUMED.load(Ordering::Acquire) >> (isa as u32) & 1 == 1
}

impl Kernels {
    /// Makes a tier available that this CPU or operating system cannot run: for tests that emulate
    /// the missing instructions.
    ///
    /// # Safety
    /// From now on, each of the tier's instructions does what its manual says, on every thread of
    /// this process.
    #[doc(hidden)]
    pub unsafe fn assume_available(isa: Isa) {
        ASSUMED.fetch_or(1 << isa as u32, Ordering::Release);
    }
}
