//! The tiers for x86-64, in `std::arch` intrinsics, and assembly where there are none yet.

use crate::generic::{
    attention, attention_i8, dot, entry, gemm_f32, gemm_i8, quantized, row, row_block, row_blocks,
    rowwise, simd,
};

mod features;

pub(crate) mod amx_int8;
pub(crate) mod avx2;
pub(crate) mod avx512_vnni;
pub(crate) mod avx_vnni;
pub(crate) mod peak;
