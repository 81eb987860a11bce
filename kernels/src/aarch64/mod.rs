//! The tiers for aarch64, in `std::arch` intrinsics, and assembly where there are none yet.

mod lanes;
mod level;

pub(crate) mod neon;
pub(crate) mod neon_dotprod;
pub(crate) mod neon_i8mm;

/// Calls intrinsics that work in registers, in a method of a tier's token or vectors.
macro_rules! unsafe_arith {
    ($call:expr) => {
        // SAFETY: every aarch64 target with `std` has NEON.
        unsafe { $call }
    };
}

/// Calls intrinsics that read or write memory through a pointer.
macro_rules! unsafe_memory {
    ($call:expr) => {
        // SAFETY: NEON, as for `unsafe_arith!`. The pointer comes from a reference to an array of
        // exactly what the intrinsic reads or writes, and needs no alignment.
        unsafe { $call }
    };
}

use {unsafe_arith, unsafe_memory};
