//! AVX2 with FMA and F16C: Haswell (2013), Zen and later.

pub(super) mod lanes;

use super::features::Features;
use crate::{Isa, Kernels};
use lanes::Avx2;

// SAFETY: `run_avx2` asks for the features of `Avx2`.
pub(crate) static KERNELS: Kernels =
    unsafe { Kernels::generic::<Avx2>(Isa::Avx2, || Features::detect().run_avx2()) };
