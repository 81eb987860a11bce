//! The tiers for x86-64, in `std::arch` intrinsics.
//!
//! What the tiers share is generic over [`simd::Simd`]; a tier's folder has its vectors
//! (`lanes.rs`), its integer products, and its functions compiled for its features.

mod features;
mod math;
mod quantized;
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
        $(while $i + $size <= rows.end {
            const $r: usize = $size;
            $call;
            $i += $size;
        })*
    }};
}
use row_block;

/// A function for a row of the table: safe to call by its type, compiled for a tier's features.
macro_rules! entry {
    ($features:literal, |$($arg:ident: $ty:ty),*| $(-> $result:ty)? $body:block) => {{
        fn entry($($arg: $ty),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            fn run($($arg: $ty),*) $(-> $result)? $body
            // SAFETY: this function is named in its tier's row only, and `Kernels` hands that row
            // out only where `supported` found these features.
            unsafe { run($($arg),*) }
        }
        entry
    }};
}
use entry;
