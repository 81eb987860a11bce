//! Products with int8 weights: bytes are widened to 16 bits and multiplied by `vpmaddwd`, which
//! adds two products of 16 bits to an exact i32. (`vpmaddubsw` takes bytes, but saturates.)
//!
//! Of each group of 4 inputs the even two and the odd two make a pair each: an i16 lane of
//! weights or activations holds two bytes, and shifts take them apart.

use super::lanes::{Avx2, I32x16, Line};
use crate::layout::{PackedI8, padded_k};
use crate::x86_64::quantized::{Eight, Epilogue, Planes, Sixteen};
use crate::x86_64::row_block;
use crate::x86_64::simd::Simd;
use crate::{Activation, RowQuant};

/// Groups of 4 inputs that are widened at a time: 8 KB of activations for 4 rows.
const GROUPS: usize = 256;

/// The even and the odd bytes of a row's groups, each as two u16.
type Widened = [[u32; GROUPS]; 2];

#[inline(always)]
fn widen(groups: &[[u8; 4]], [even, odd]: &mut Widened) {
    for (group, (even, odd)) in groups.iter().zip(even.iter_mut().zip(odd)) {
        let group = u32::from_le_bytes(*group);
        *even = group & 0x00FF_00FF;
        *odd = (group >> 8) & 0x00FF_00FF;
    }
}

/// Adds the products of R widened rows with a panel.
#[inline(always)]
fn tile<const R: usize>(
    s: Avx2,
    rows: &[Widened; R],
    lines: &[Line],
    mut sums: [[I32x16; 1]; R],
) -> [[I32x16; 1]; R] {
    for (g, line) in lines.iter().take(GROUPS).enumerate() {
        let even = s.load_even(line);
        for ([row, _], sums) in rows.iter().zip(&mut sums) {
            sums[0] = sums[0].add_dot(s.splat_i32(row[g] as i32), even);
        }
        let odd = s.load_odd(line);
        for ([_, row], sums) in rows.iter().zip(&mut sums) {
            sums[0] = sums[0].add_dot(s.splat_i32(row[g] as i32), odd);
        }
    }
    sums
}

/// All outputs of rows `i..i + R`.
#[inline(always)]
fn block<const N: usize, const R: usize>(
    s: Avx2,
    a: &impl Planes<N>,
    epilogue: &Epilogue<'_>,
    i: usize,
    out: &mut [f32],
) {
    let groups = padded_k(epilogue.b.k()) / 4;
    let lines: &[Line] = epilogue.b.data().as_chunks().0;
    let planes = a.planes().map(|plane| plane.as_chunks().0);
    let mut widened = [[[[0; GROUPS]; 2]; R]; N];
    for channel in (0..epilogue.b.n()).step_by(16) {
        let panel = &lines[channel / 16 * groups..][..groups];
        let mut sums = [[[s.splat_i32(0)]; R]; N];
        for (part, lines) in panel.chunks(GROUPS).enumerate() {
            for ((plane, widened), sums) in planes.iter().zip(&mut widened).zip(&mut sums) {
                // Rows of one part stay widened from the first panel on.
                if channel == 0 || groups > GROUPS {
                    for (r, row) in widened.iter_mut().enumerate() {
                        let start = (i + r) * groups + part * GROUPS;
                        widen(&plane[start..][..lines.len()], row);
                    }
                }
                *sums = tile(s, widened, lines, *sums);
            }
        }
        epilogue.finish(s, a, &sums, i, channel, out);
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gemm_i8(
    a: &[u8],
    params: &[RowQuant],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let s = Avx2::new();
    let (a, epilogue) = (Eight { a, params }, Epilogue { b, bias, act });
    row_block!(
        [4, 2, 1],
        0..m,
        i,
        R,
        block::<1, R>(s, &a, &epilogue, i, out)
    );
}

#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn gemm_i8_a16(
    high: &[u8],
    low: &[u8],
    scales: &[f32],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let s = Avx2::new();
    let a = Sixteen { high, low, scales };
    let epilogue = Epilogue { b, bias, act };
    row_block!(
        [4, 2, 1],
        0..m,
        i,
        R,
        block::<2, R>(s, &a, &epilogue, i, out)
    );
}
