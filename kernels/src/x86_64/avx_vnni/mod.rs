//! AVX-VNNI: `vpdpbusd` on 256-bit registers, for CPUs without AVX-512: Alder Lake (2021), Sierra
//! Forest and later. All but the int8 products is the AVX2 tier's.

mod gemm_i8;

use super::features::Features;
use super::{avx2, entry};
use crate::layout::PackedI8;
use crate::table::Kernels;
use crate::{Activation, Isa, RowQuant};

pub(crate) static KERNELS: Kernels = Kernels {
    isa: Isa::AvxVnni,
    supported: || Features::detect().run_avx_vnni(),
    gemm_i8: entry!(gemm_i8, "avx2,fma,f16c,avxvnni", gemm_i8::gemm_i8, (), (a: &[u8], params: &[RowQuant], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
    gemm_i8_a16: entry!(gemm_i8_a16, "avx2,fma,f16c,avxvnni", gemm_i8::gemm_i8_a16, (), (hi: &[u8], lo: &[u8], scales: &[f32], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
    ..avx2::KERNELS
};
