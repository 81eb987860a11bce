//! AVX2 with FMA and F16C: Haswell (2013), Excavator, Zen and later.

mod gemm_i8;
mod lanes;

use super::entry;
use super::features::Features;
use crate::layout::PackedI8;
use crate::table::Kernels;
use crate::{Activation, Isa, RowQuant, portable};

pub(crate) static KERNELS: Kernels = Kernels {
    isa: Isa::Avx2,
    supported: || Features::detect().run_avx2(),
    gemm_i8: entry!(
        "avx2,fma,f16c",
        |a: &[u8],
         params: &[RowQuant],
         m: usize,
         b: &PackedI8<'_>,
         bias: &[f32],
         act: Activation,
         out: &mut [f32]| {
            gemm_i8::gemm_i8(a, params, m, b, bias, act, out);
        }
    ),
    gemm_i8_a16: entry!(
        "avx2,fma,f16c",
        |high: &[u8],
         low: &[u8],
         scales: &[f32],
         m: usize,
         b: &PackedI8<'_>,
         bias: &[f32],
         act: Activation,
         out: &mut [f32]| {
            gemm_i8::gemm_i8_a16(high, low, scales, m, b, bias, act, out);
        }
    ),
    quantize_u8: portable::quantize_u8,
    quantize_i16: portable::quantize_i16,
    gemm_f32: portable::gemm_f32,
    gemm_f16: portable::gemm_f16,
    layer_norm: portable::layer_norm,
    add_layer_norm: portable::add_layer_norm,
    attention: portable::attention,
    cls_attention: portable::cls_attention,
    softmax: portable::softmax,
    activate: portable::activate,
    dot: portable::dot,
    add_scaled_i8: portable::add_scaled_i8,
    widen_f16: portable::widen_f16,
};
