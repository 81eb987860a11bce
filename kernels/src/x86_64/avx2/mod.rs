//! AVX2 with FMA and F16C: Haswell (2013), Zen and later.

pub(super) mod lanes;

use half::f16;

use super::features::Features;
use super::{attention, attention_i8, entry, gemm_f32, gemm_i8, row, rowwise};
use crate::layout::{PackedF16, PackedF32, PackedI8};
use crate::table::Kernels;
use crate::{Activation, Isa, RowQuant};
use lanes::Avx2;

pub(crate) static KERNELS: Kernels = row!(
    Isa::Avx2,
    || Features::detect().run_avx2(),
    "avx2,fma,f16c",
    Avx2::new()
);
