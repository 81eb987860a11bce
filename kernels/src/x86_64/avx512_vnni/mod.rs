//! AVX-512 with VNNI: Cascade Lake (2019), Zen 4 (2022) and later.

mod gemm_i8;
pub(super) mod lanes;

use super::features::Features;
use crate::{Isa, Kernels};
use lanes::Avx512Vnni;

// SAFETY: `run_avx512_vnni` asks for the features of `Avx512Vnni`.
const GENERIC: Kernels = unsafe {
    Kernels::generic::<Avx512Vnni>(Isa::Avx512Vnni, || Features::detect().run_avx512_vnni())
};

pub(crate) static KERNELS: Kernels = Kernels {
    gemm_i8: gemm_i8::gemm_i8,
    gemm_i8_a16: gemm_i8::gemm_i8_a16,
    ..GENERIC
};
