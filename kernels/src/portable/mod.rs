//! The portable tier, for every target, on the `wide` crate.

mod lanes;

use crate::{Isa, Kernels};
use lanes::Portable;

// SAFETY: this tier needs no features.
pub(crate) static KERNELS: Kernels =
    unsafe { Kernels::generic::<Portable>(Isa::Portable, || true) };
