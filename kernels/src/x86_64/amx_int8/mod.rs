//! AMX with products of bytes: Sapphire Rapids (2023) and later. Everything but the int8 products
//! is the AVX-512 tier's.
//!
//! Tiles are registers of 16 rows of 64 bytes. One instruction multiplies 16 rows of inputs by 16
//! lines of packed weights, both as they lie, and adds to 16 x 16 exact sums.
//!
//! Attention in integers could use tiles, too. Scores are products of signed bytes, `tdpbssd`:
//! queries as they lie in rows, keys laid out like packed weights, 16 to a line, four channels of
//! each, which takes a transposition of 4-byte groups per head and sequence. For contexts, weights
//! and values each split into a signed high byte and an unsigned low one, which makes four
//! products: `tdpbssd`, `tdpbsud`, `tdpbusd` and `tdpbuud`. Values must be laid out like packed
//! weights, too, with four rows' bytes interleaved.

mod gemm_i8;
#[cfg(feature = "peak")]
pub(crate) mod peak;
mod tiles;

use super::avx512_vnni;
use super::features::{Features, tile_permission};
use crate::{Isa, Kernels};

pub(crate) static KERNELS: Kernels = Kernels {
    isa: Isa::AmxInt8,
    supported: || Features::detect().run_amx_int8(tile_permission),
    gemm_i8: gemm_i8::gemm_i8,
    gemm_i8_a16: gemm_i8::gemm_i8_a16,
    ..avx512_vnni::KERNELS
};
