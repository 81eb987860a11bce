//! The bodies that all tiers but the reference share, written once over [`simd::Simd`]: sixteen
//! lanes. A tier's folder has its vectors (`lanes.rs`), what it does in its own way, and its row of
//! the table.

mod attention;
mod attention_i8;
pub(crate) mod dot;
mod gemm_f32;
mod gemm_i8;
pub(crate) mod quantized;
mod rowwise;
pub(crate) mod simd;
mod vector_math;

/// Bytes of input rows that stay in the second-level cache next to a panel of weights.
pub(crate) const BLOCK_BYTES: usize = 256 * 1024;

/// `m` rows of `bytes` each, cut so that a block is read from cache for every panel of weights.
pub(crate) fn row_blocks(m: usize, bytes: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let rows = (BLOCK_BYTES / bytes.max(1)).next_multiple_of(24);
    (0..m).step_by(rows).map(move |i| i..m.min(i + rows))
}

/// R slices of `len` elements, the first from `start` on and each `stride` after the one before.
///
/// This and [`cut`] are loops because the closures of `from_fn` and `map` are not always inlined;
/// loops over the slices would then not know the slices' lengths.
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

/// Whether `sizes` contains `size`, for [`row_tiles!`].
pub(crate) const fn has_size(sizes: &[usize], size: usize) -> bool {
    let (mut i, mut found) = (0, false);
    while i < sizes.len() {
        assert!(
            matches!(sizes[i], 8 | 6 | 4 | 2 | 1),
            "row_tiles! has no such size"
        );
        found |= sizes[i] == size;
        i += 1;
    }
    found
}

/// Runs `$call` on tiles of rows: as many of the first of `$sizes` as fit, then of the next.
/// `$i` is a tile's first row and `$r` its constant number of rows.
///
/// `$sizes` is a constant, most often [`Simd::TILE_ROWS`](simd::Simd::TILE_ROWS). A macro, because
/// a closure cannot be generic over `$r`.
macro_rules! row_tiles {
    ($sizes:expr, $rows:expr, $i:ident, $r:ident, $call:expr) => {
        $crate::generic::row_tiles!(@[8, 6, 4, 2, 1] $sizes, $rows, $i, $r, $call)
    };
    (@[$($size:literal),*] $sizes:expr, $rows:expr, $i:ident, $r:ident, $call:expr) => {{
        let rows: std::ops::Range<usize> = $rows;
        let mut $i = rows.start;
        $(if const { $crate::generic::has_size($sizes, $size) } {
            while rows.end - $i >= $size {
                const $r: usize = $size;
                $call;
                $i += $size;
            }
        })*
    }};
}
pub(crate) use row_tiles;
