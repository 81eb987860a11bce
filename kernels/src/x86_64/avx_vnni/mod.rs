//! AVX-VNNI: `vpdpbusd` on 256-bit registers, for CPUs without AVX-512: Alder Lake (2021), Sierra
//! Forest and later. Everything but the int8 products is the AVX2 tier's.

mod gemm_i8;

use super::avx2;
use super::features::Features;
use crate::{Isa, Kernels};

pub(crate) static KERNELS: Kernels = Kernels {
    isa: Isa::AvxVnni,
    supported: || Features::detect().run_avx_vnni(),
    gemm_i8: gemm_i8::gemm_i8,
    gemm_i8_a16: gemm_i8::gemm_i8_a16,
    ..avx2::KERNELS
};
