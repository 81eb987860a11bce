//! The portable tier, on the `wide` crate: SSE2 in an ordinary x86-64 build, NEON on aarch64,
//! wider vectors where the compiler was told that it may use them.
//!
//! Only `wide`'s plain operations appear here: `+ - * /`, comparisons, `select`, integer
//! operations and `sqrt`. Its `mul_add` fuses, its `min` and `max` differ for NaN between
//! targets, and its `round_int` breaks ties differently on some, so none of these is used.

mod attention;
mod gemm_f32;
mod gemm_i8;
mod math;
mod rowwise;

pub(crate) use attention::{attention, cls_attention};
pub(crate) use gemm_f32::{gemm_f16, gemm_f32};
pub(crate) use gemm_i8::{gemm_i8, gemm_i8_a16};
pub(crate) use rowwise::{
    activate, add_layer_norm, add_scaled_i8, dot, layer_norm, quantize_i16, quantize_u8, softmax,
    widen_f16,
};

use wide::f32x8;

/// Calls `$f::<R>($args)` for blocks of R = 4 rows, then for what remains of `$m` rows; `$i` is
/// the block's first row.
macro_rules! row_blocks {
    ($m:expr, $i:ident, $f:ident($($arg:expr),* $(,)?)) => {{
        let (m, mut $i) = ($m, 0);
        while $i + 4 <= m {
            $f::<4>($($arg),*);
            $i += 4;
        }
        match m - $i {
            3 => $f::<3>($($arg),*),
            2 => $f::<2>($($arg),*),
            1 => $f::<1>($($arg),*),
            _ => {}
        }
    }};
}
use row_blocks;

/// The first 8 values, or all there are and then zeros.
#[inline(always)]
fn load(x: &[f32]) -> f32x8 {
    match x.first_chunk() {
        Some(chunk) => f32x8::new(*chunk),
        None => {
            let mut padded = [0.0; 8];
            padded[..x.len()].copy_from_slice(x);
            f32x8::new(padded)
        }
    }
}

/// Stores as many of the 8 values as `x` takes.
#[inline(always)]
fn store(value: f32x8, x: &mut [f32]) {
    match x.first_chunk_mut() {
        Some(chunk) => *chunk = value.to_array(),
        None => x.copy_from_slice(&value.to_array()[..x.len()]),
    }
}

/// The first 16 values, or all there are and then zeros.
fn padded_16<T: Copy + Default>(x: &[T]) -> [T; 16] {
    let mut padded = [T::default(); 16];
    let len = x.len().min(16);
    padded[..len].copy_from_slice(&x[..len]);
    padded
}
