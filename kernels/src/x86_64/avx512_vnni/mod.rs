//! AVX-512 with VNNI: Cascade Lake (2019), Zen 4 (2022) and later.

mod gemm_i8;
pub(super) mod lanes;

use half::f16;

use super::features::Features;
use super::{attention, attention_i8, entry, gemm_f32, row, rowwise};
use crate::layout::{PackedF16, PackedF32, PackedI8};
use crate::table::Kernels;
use crate::{Activation, Isa, RowQuant};
use lanes::Avx512Vnni;

pub(crate) static KERNELS: Kernels = row!(
    Isa::Avx512Vnni,
    || Features::detect().run_avx512_vnni(),
    "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni",
    Avx512Vnni::new()
);
