//! The tiers for x86-64, in `std::arch` intrinsics, and assembly where there are none yet.

mod features;

pub(crate) mod amx_int8;
pub(crate) mod avx2;
pub(crate) mod avx512_vnni;
pub(crate) mod avx_vnni;
#[cfg(feature = "peak")]
pub(crate) mod peak;

/// Calls intrinsics that work in registers, in a method of a tier's token or vectors.
macro_rules! unsafe_arith {
    ($call:expr) => {
        // SAFETY: the CPU has the intrinsics' features: the token and the vectors come only from
        // functions that are compiled for the tier's features.
        unsafe { $call }
    };
}

/// Calls intrinsics that read or write memory through a pointer, in a method of a tier's token.
macro_rules! unsafe_memory {
    ($call:expr) => {
        // SAFETY: the features, as for `unsafe_arith!`. The pointer comes from a reference to an
        // array of exactly what the intrinsic reads or writes, and needs no alignment.
        unsafe { $call }
    };
}

use {unsafe_arith, unsafe_memory};
