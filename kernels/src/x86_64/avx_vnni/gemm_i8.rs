//! Products with int8 weights: `vpdpbusd` adds four products of bytes to an i32 without saturating.
//! A line of packed weights is two of its operands, as it lies.

use std::arch::x86_64::_mm256_dpbusd_avx_epi32;

use crate::generic::quantized::{Outputs, Planes};
use crate::generic::simd::Simd;
use crate::generic::{row_blocks, row_tiles};
use crate::layout::padded_k;
use crate::ops::{GemmI8, GemmI8A16};
use crate::x86_64::avx2::lanes::{Avx2, I32x16};
use crate::x86_64::unsafe_arith;

/// int8 weights of 16 channels for 4 inputs.
type Line = [i8; 64];

/// Proof that the CPU has this tier's features, which are the vectors' and AVX-VNNI.
#[derive(Clone, Copy)]
struct AvxVnni(Avx2);

impl AvxVnni {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
    fn new() -> Self {
        Self(Avx2::new())
    }

    /// Adds to each lane of `sum` the four products of unsigned bytes of `a` and signed bytes of
    /// `b`.
    #[inline(always)]
    fn add_dot(self, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        unsafe_arith!(I32x16(
            _mm256_dpbusd_avx_epi32(sum.0, a.0, b.0),
            _mm256_dpbusd_avx_epi32(sum.1, a.1, b.1),
        ))
    }
}

/// Sums of products of R rows, one after the other, with a panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn tile<const R: usize>(rows: &[[u8; 4]], panel: &[Line]) -> [[I32x16; 1]; R] {
    let t = AvxVnni::new();
    let groups = panel.len();
    assert_eq!(rows.len(), R * groups);
    let mut sums = [[t.0.splat_i32(0)]; R];
    for (g, line) in panel.iter().enumerate() {
        let weights = t.0.load_bytes(line);
        for (r, [sum]) in sums.iter_mut().enumerate() {
            // SAFETY: r < R and g < groups. The compiler does not see that, and would check bounds.
            let four = unsafe { rows.get_unchecked(r * groups + g) };
            *sum = t.add_dot(*sum, t.0.splat_i32(i32::from_ne_bytes(*four)), weights);
        }
    }
    sums
}

/// Rows `i..i + R` of the panel from `channel` on.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn block<const N: usize, const R: usize>(
    a: &impl Planes<N>,
    outputs: &Outputs<'_>,
    i: usize,
    channel: usize,
    out: &mut [f32],
) {
    let t = AvxVnni::new();
    let groups = padded_k(outputs.b.k()) / 4;
    let lines: &[Line] = outputs.b.data().as_chunks().0;
    let panel = &lines[channel / 16 * groups..][..groups];
    let mut sums = [[[t.0.splat_i32(0)]; R]; N];
    for (plane, sums) in a.planes().iter().zip(&mut sums) {
        let rows = &plane.as_chunks().0[i * groups..][..R * groups];
        *sums = tile(rows, panel);
    }
    outputs.finish(t.0, a, &sums, i, channel, out);
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn product<const N: usize>(a: &impl Planes<N>, m: usize, outputs: &Outputs<'_>, out: &mut [f32]) {
    for rows in row_blocks(m, padded_k(outputs.b.k())) {
        for channel in (0..outputs.b.n()).step_by(16) {
            row_tiles!(Avx2::TILE_ROWS, rows.clone(), i, R, {
                block::<N, R>(a, outputs, i, channel, out);
            });
        }
    }
}

pub(super) fn gemm_i8(op: GemmI8<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.params.len();
    // SAFETY: only the tier's row names this function, and `Kernels` hands that row out only where
    // `run_avx_vnni` found the features.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}

pub(super) fn gemm_i8_a16(op: GemmI8A16<'_>) {
    let (b, epilogue) = (op.b, op.epilogue);
    let m = op.a.scales.len();
    // SAFETY: as in `gemm_i8`.
    unsafe { product(&op.a, m, &Outputs { b, epilogue }, op.out) }
}
