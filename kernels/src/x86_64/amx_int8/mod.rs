//! AMX with products of bytes: Sapphire Rapids (2023) and later. All but the int8 products is the
//! AVX-512 tier's.
//!
//! Tiles are registers of 16 rows of 64 bytes. An instruction multiplies 16 rows of activations,
//! as they lie, by 16 lines of packed weights, as they lie, and adds to 16 x 16 exact sums.
//!
//! What attention in integers could do with them: scores are products of signed bytes, `tdpbssd`, with
//! queries right as they lie in rows and keys laid like packed weights, 16 to a line, four channels of
//! each, which is a transposition of 4-byte groups once a head and sequence. For contexts, weights
//! and values each split into a signed high byte and an unsigned low one make four products, `tdpbssd`,
//! `tdpbsud`, `tdpbusd` and `tdpbuud`; values must be laid like packed weights too, four rows' bytes
//! interleaved.

mod gemm_i8;
pub(crate) mod peak;
mod tiles;

use super::features::{Features, tile_permission};
use super::{avx512_vnni, entry};
use crate::layout::PackedI8;
use crate::table::Kernels;
use crate::{Activation, Isa, RowQuant};

pub(crate) static KERNELS: Kernels = Kernels {
    isa: Isa::AmxInt8,
    supported: || Features::detect().run_amx_int8(tile_permission),
    gemm_i8: entry!(gemm_i8, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni", gemm_i8::gemm_i8, (), (a: &[u8], params: &[RowQuant], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
    gemm_i8_a16: entry!(gemm_i8_a16, "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni", gemm_i8::gemm_i8_a16, (), (hi: &[u8], lo: &[u8], scales: &[f32], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
    ..avx512_vnni::KERNELS
};
