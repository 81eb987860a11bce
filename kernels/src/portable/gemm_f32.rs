//! Products with f32 and f16 weights: blocks of 4 rows by 8 channels, held in registers.

use half::f16;
use wide::f32x8;

use super::{load, math, padded_16, row_blocks, rowwise, store};
use crate::Activation;
use crate::layout::{PANEL, PackedF16, PackedF32};

/// One input's weights for the 16 channels of a panel.
pub(super) type Line = [f32; PANEL];

/// Adds `sum_d rows[r][d] * lines[d][c]` to `sums[r]`, for the 8 channels of the panel's left
/// (`half = 0`) or right half (1): one accumulator per output, `d` ascending.
#[inline(always)]
pub(super) fn tile<const R: usize>(
    rows: [&[f32]; R],
    lines: &[Line],
    half: usize,
    mut sums: [f32x8; R],
) -> [f32x8; R] {
    // Of one length, so that the loop needs no bounds checks.
    let rows = rows.map(|row| &row[..lines.len()]);
    for (d, line) in lines.iter().enumerate() {
        let weights = load(&line[half * 8..][..8]);
        for r in 0..R {
            sums[r] += f32x8::splat(rows[r][d]) * weights;
        }
    }
    sums
}

/// Part of a product: one panel, the inputs from `start` on, as many as there are lines.
struct Part<'a> {
    a: &'a [f32],
    k: usize,
    n: usize,
    start: usize,
    lines: &'a [Line],
    /// First channel of the panel.
    channel: usize,
    bias: Line,
    act: Activation,
}

/// Adds a part to rows `i..i + R` of `out`, where the sums of the earlier inputs stand; an f32
/// loses nothing by being stored.
#[inline(always)]
fn add_part<const R: usize>(part: &Part<'_>, i: usize, out: &mut [f32]) {
    let &Part {
        a,
        k,
        n,
        start,
        lines,
        channel,
        ..
    } = part;
    let rows = std::array::from_fn(|r| &a[(i + r) * k + start..][..lines.len()]);
    let last = start + lines.len() == k;
    for half in 0..2 {
        let left = channel + half * 8;
        if left >= n {
            break;
        }
        let columns = |r: usize| (i + r) * n + left..(i + r) * n + n.min(left + 8);
        let before = std::array::from_fn(|r| {
            if start == 0 {
                f32x8::splat(0.0)
            } else {
                load(&out[columns(r)])
            }
        });
        let sums: [f32x8; R] = tile(rows, lines, half, before);
        let bias = load(&part.bias[half * 8..]);
        for (r, sum) in sums.into_iter().enumerate() {
            let value = if last {
                math::apply(part.act, sum + bias)
            } else {
                sum
            };
            store(value, &mut out[columns(r)]);
        }
    }
}

/// All rows of a part.
fn add_part_rows(part: &Part<'_>, m: usize, out: &mut [f32]) {
    row_blocks!(m, i, add_part(part, i, out));
}

pub(crate) fn gemm_f32(
    a: &[f32],
    m: usize,
    b: &PackedF32<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let (n, k) = (b.n(), b.k());
    let lines = b.data().as_chunks::<PANEL>().0;
    for channel in (0..n).step_by(PANEL) {
        let lines = &lines[channel / PANEL * k..][..k];
        let bias = padded_16(&bias[channel..]);
        add_part_rows(
            &Part {
                a,
                k,
                n,
                start: 0,
                lines,
                channel,
                bias,
                act,
            },
            m,
            out,
        );
    }
}

/// Lines of f16 weights that are widened at a time: 16 KB, which stays in the first-level cache.
const WIDENED: usize = 256;

pub(crate) fn gemm_f16(
    a: &[f32],
    m: usize,
    b: &PackedF16<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    let (n, k) = (b.n(), b.k());
    let mut widened = [[0.0; PANEL]; WIDENED];
    for channel in (0..n).step_by(PANEL) {
        let bias = padded_16(&bias[channel..]);
        // Once even for k = 0, whose product is the bias.
        for start in (0..k.max(1)).step_by(WIDENED) {
            let count = WIDENED.min(k - start);
            let halves: &[f16] = &b.data()[(channel / PANEL * k + start) * PANEL..];
            let lines = &mut widened[..count];
            rowwise::widen_f16(&halves[..count * PANEL], lines.as_flattened_mut());
            add_part_rows(
                &Part {
                    a,
                    k,
                    n,
                    start,
                    lines,
                    channel,
                    bias,
                    act,
                },
                m,
                out,
            );
        }
    }
}
