//! The tiers for x86-64, in `std::arch` intrinsics.
//!
//! What the tiers share is generic over [`simd::Simd`]; a tier's folder has its vectors
//! (`lanes.rs`), its integer products, and its functions compiled for its features.

mod attention;
mod features;
mod gemm_f32;
mod math;
mod quantized;
mod rowwise;
mod simd;

pub(crate) mod avx2;
pub(crate) mod avx512_vnni;

/// Bytes of activations that stay in the second-level cache beside a panel of weights.
const BLOCK_BYTES: usize = 256 * 1024;

/// `m` rows of `bytes` each, cut so that a block is read from cache for every panel of weights.
fn row_blocks(m: usize, bytes: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let rows = (BLOCK_BYTES / bytes.max(1)).next_multiple_of(24);
    (0..m).step_by(rows).map(move |i| i..m.min(i + rows))
}

/// Runs a function on blocks of rows: as many of the first size as fit, then of the next. `$i` is
/// a block's first row and `$r` its constant number of rows.
macro_rules! row_block {
    ([$($size:literal),*], $rows:expr, $i:ident, $r:ident, $call:expr) => {{
        let rows: std::ops::Range<usize> = $rows;
        let mut $i = rows.start;
        $(while rows.end - $i >= $size {
            const $r: usize = $size;
            $call;
            $i += $size;
        })*
    }};
}
use row_block;

/// A function for a row of the table: safe to call by its type, compiled for a tier's features.
macro_rules! entry {
    ($features:literal, $path:path, ($($fixed:expr)?), ($($arg:ident: $ty:ty),*) $(-> $result:ty)?) => {{
        fn entry($($arg: $ty),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            fn run($($arg: $ty),*) $(-> $result)? {
                $path($($fixed,)? $($arg),*)
            }
            // SAFETY: this function is named in its tier's row only, and `Kernels` hands that row
            // out only where `supported` found these features.
            unsafe { run($($arg),*) }
        }
        entry
    }};
}

/// A row of the table. The integer products are the tier's own, the rest the generic ones,
/// compiled for its features and given its token.
macro_rules! row {
    ($isa:expr, $supported:expr, $features:literal, $token:expr) => {
        $crate::table::Kernels {
            isa: $isa,
            supported: $supported,
            quantize_u8: entry!($features, rowwise::quantize_u8, ($token), (x: &[f32], m: usize, k: usize, out: &mut [u8], params: &mut [RowQuant])),
            quantize_i16: entry!($features, rowwise::quantize_i16, ($token), (x: &[f32], m: usize, k: usize, hi: &mut [u8], lo: &mut [u8], scales: &mut [f32])),
            layer_norm: entry!($features, rowwise::layer_norm, ($token), (x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32, m: usize, n: usize)),
            add_layer_norm: entry!($features, rowwise::add_layer_norm, ($token), (x: &mut [f32], delta: &[f32], weight: &[f32], bias: &[f32], eps: f32, m: usize, n: usize)),
            attention: entry!($features, attention::attention, ($token), (prefix: &[f32], rows: &[f32], heads: usize, head_dim: usize, scratch: &mut Vec<f32>, out: &mut [f32])),
            cls_attention: entry!($features, attention::cls_attention, ($token), (t: &[f32], prefix: &[f32], rows: &[f32], heads: usize, hidden: usize, scratch: &mut Vec<f32>, out: &mut [f32])),
            softmax: entry!($features, rowwise::softmax, ($token), (x: &mut [f32])),
            activate: entry!($features, rowwise::activate, ($token), (act: Activation, x: &mut [f32])),
            dot: entry!($features, rowwise::dot, ($token), (a: &[f32], b: &[f32]) -> f32),
            add_scaled_i8: entry!($features, rowwise::add_scaled_i8, ($token), (row: &[i8], scale: f32, out: &mut [f32])),
            widen_f16: entry!($features, rowwise::widen_f16, ($token), (src: &[f16], dst: &mut [f32])),
            gemm_i8: entry!($features, gemm_i8::gemm_i8, (), (a: &[u8], params: &[RowQuant], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
            gemm_i8_a16: entry!($features, gemm_i8::gemm_i8_a16, (), (hi: &[u8], lo: &[u8], scales: &[f32], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
            gemm_f32: entry!($features, gemm_f32::gemm_f32, ($token), (a: &[f32], m: usize, b: &PackedF32<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
            gemm_f16: entry!($features, gemm_f32::gemm_f16, ($token), (a: &[f32], m: usize, b: &PackedF16<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
        }
    };
}
use {entry, row};
