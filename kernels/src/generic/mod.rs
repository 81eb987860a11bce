//! What all tiers but the reference share, written once over [`simd::Simd`]: sixteen lanes, of
//! which a tier says how it computes with them. A tier's folder has its vectors (`lanes.rs`), what
//! it does in its own way, and its row of the table.

pub(crate) mod attention;
pub(crate) mod attention_i8;
pub(crate) mod dot;
pub(crate) mod gemm_f32;
pub(crate) mod gemm_i8;
pub(crate) mod math;
pub(crate) mod quantized;
pub(crate) mod rowwise;
pub(crate) mod simd;

/// Bytes of activations that stay in the second-level cache beside a panel of weights.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// `m` rows of `bytes` each, cut so that a block is read from cache for every panel of weights.
pub(crate) fn row_blocks(m: usize, bytes: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let rows = (BLOCK_BYTES / bytes.max(1)).next_multiple_of(24);
    (0..m).step_by(rows).map(move |i| i..m.min(i + rows))
}

/// R slices of `len` elements, the first from `start` on and each `stride` after the one before.
///
/// A loop, like [`cut`], where `from_fn` and `map` would do: those are calls where their closures
/// are not inlined, and then slices' lengths are unknown in the loops over them.
#[inline(always)]
pub(crate) fn strips<T, const R: usize>(
    x: &[T],
    start: usize,
    stride: usize,
    len: usize,
) -> [&[T]; R] {
    let mut strips = [&x[..0]; R];
    for (r, strip) in strips.iter_mut().enumerate() {
        *strip = &x[start + r * stride..][..len];
    }
    strips
}

/// The first `len` elements of each slice: loops over them then need no bounds checks.
#[inline(always)]
pub(crate) fn cut<T, const R: usize>(mut slices: [&[T]; R], len: usize) -> [&[T]; R] {
    for slice in &mut slices {
        *slice = &slice[..len];
    }
    slices
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
pub(crate) use row_block;

/// [`row_block`] with as many rows as the vectors' tier has registers for, beside one panel.
macro_rules! row_tiles {
    ($s:ty, $rows:expr, $i:ident, $r:ident, $call:expr) => {
        match <$s as $crate::generic::simd::Simd>::REGISTERS {
            32 => $crate::generic::row_block!([8, 4, 2, 1], $rows, $i, $r, $call),
            8 => $crate::generic::row_block!([6, 4, 2, 1], $rows, $i, $r, $call),
            _ => $crate::generic::row_block!([2, 1], $rows, $i, $r, $call),
        }
    };
}
pub(crate) use row_tiles;

/// A function for a row of the table, named as in profiles: safe to call by its type, compiled for a tier's features.
/// `portable` instead of features stands for those that every CPU of the target has.
macro_rules! entry {
    ($name:ident, portable, $path:path, ($($fixed:expr)?), ($($arg:ident: $ty:ty),*) $(-> $result:ty)?) => {{
        fn $name($($arg: $ty),*) $(-> $result)? {
            $path($($fixed,)? $($arg),*)
        }
        $name
    }};
    ($name:ident, $features:literal, $path:path, ($($fixed:expr)?), ($($arg:ident: $ty:ty),*) $(-> $result:ty)?) => {{
        fn entry($($arg: $ty),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            fn $name($($arg: $ty),*) $(-> $result)? {
                $path($($fixed,)? $($arg),*)
            }
            // SAFETY: this function is named in its tier's row only, and `Kernels` hands that row
            // out only where `supported` found these features.
            unsafe { $name($($arg),*) }
        }
        entry
    }};
}

/// A row of the table. The integer products are the functions of a module `gemm_i8` in scope, the
/// rest the generic ones, compiled for the tier's features and given its token.
macro_rules! row {
    ($isa:expr, $supported:expr, $features:tt, $token:expr) => {
        $crate::table::Kernels {
            isa: $isa,
            supported: $supported,
            quantize_u8: entry!(quantize_u8, $features, rowwise::quantize_u8, ($token), (x: &[f32], scale: Option<&[f32]>, m: usize, k: usize, out: &mut [u8], params: &mut [RowQuant])),
            quantize_i16: entry!(quantize_i16, $features, rowwise::quantize_i16, ($token), (x: &[f32], scale: Option<&[f32]>, m: usize, k: usize, hi: &mut [u8], lo: &mut [u8], scales: &mut [f32])),
            layer_norm: entry!(layer_norm, $features, rowwise::layer_norm, ($token), (x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32, m: usize, n: usize)),
            add_layer_norm: entry!(add_layer_norm, $features, rowwise::add_layer_norm, ($token), (x: &mut [f32], delta: &[f32], weight: &[f32], bias: &[f32], eps: f32, m: usize, n: usize)),
            attention: entry!(attention, $features, attention::attention, ($token), (prefix: &[f32], rows: &[f32], heads: usize, head_dim: usize, scratch: &mut Vec<f32>, out: &mut [f32])),
            attention_i8: entry!(attention_i8, $features, attention_i8::attention, ($token), (prefix: &[f32], rows: &[f32], heads: usize, head_dim: usize, scratch: &mut Vec<f32>, out: &mut [f32])),
            cls_attention: entry!(cls_attention, $features, attention::cls_attention, ($token), (t: &[f32], prefix: &[f32], rows: &[f32], heads: usize, hidden: usize, scratch: &mut Vec<f32>, out: &mut [f32])),
            softmax: entry!(softmax, $features, rowwise::softmax, ($token), (x: &mut [f32])),
            activate: entry!(activate, $features, rowwise::activate, ($token), (act: Activation, x: &mut [f32])),
            dot: entry!(dot, $features, rowwise::dot, ($token), (a: &[f32], b: &[f32]) -> f32),
            add_scaled_i8: entry!(add_scaled_i8, $features, rowwise::add_scaled_i8, ($token), (row: &[i8], scale: f32, out: &mut [f32])),
            widen_f16: entry!(widen_f16, $features, rowwise::widen_f16, ($token), (src: &[f16], dst: &mut [f32])),
            gemm_i8: entry!(gemm_i8, $features, gemm_i8::gemm_i8, ($token), (a: &[u8], params: &[RowQuant], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
            gemm_i8_a16: entry!(gemm_i8_a16, $features, gemm_i8::gemm_i8_a16, ($token), (hi: &[u8], lo: &[u8], scales: &[f32], m: usize, b: &PackedI8<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
            gemm_f32: entry!(gemm_f32, $features, gemm_f32::gemm_f32, ($token), (a: &[f32], m: usize, b: &PackedF32<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
            gemm_f16: entry!(gemm_f16, $features, gemm_f32::gemm_f16, ($token), (a: &[f32], m: usize, b: &PackedF16<'_>, bias: &[f32], act: Activation, out: &mut [f32])),
        }
    };
}
pub(crate) use {entry, row};
