//! Products with int8 weights: exact in i32, by `i16 * i16 + i16 * i16` on widened bytes.

use bytemuck::cast;
use wide::{f32x8, i8x16, i16x8, i16x16, i32x8, u8x16, u32x4};

use super::{load, math, padded_16, row_blocks, store};
use crate::layout::{PANEL, PackedI8, padded_k};
use crate::{Activation, RowQuant};

/// The panel's weights for 4 inputs, in quarters: 4 channels of 4 bytes each.
type Line = [[i8; 16]; 4];

/// A panel and what its epilogue needs, padded to 16 channels.
struct Panel<'a> {
    lines: &'a [Line],
    scales: [f32; PANEL],
    sums: [i32x8; 2],
    bias: [f32; PANEL],
    act: Activation,
    /// First channel of the panel.
    channel: usize,
    /// Channels of the matrix.
    n: usize,
}

impl<'a> Panel<'a> {
    fn all(b: &PackedI8<'a>, bias: &[f32], act: Activation) -> impl Iterator<Item = Self> {
        let lines = b.data().as_chunks().0.as_chunks().0;
        let groups = padded_k(b.k()) / 4;
        (0..b.n()).step_by(PANEL).map(move |channel| Self {
            lines: &lines[channel / PANEL * groups..][..groups],
            scales: padded_16(&b.scales()[channel..]),
            sums: cast(padded_16(&b.sums()[channel..])),
            bias: padded_16(&bias[channel..]),
            act,
            channel,
            n: b.n(),
        })
    }

    /// Scales, biases, activates and stores 8 outputs of row `i`.
    #[inline(always)]
    fn finish(&self, sums: f32x8, scale: f32, i: usize, half: usize, out: &mut [f32]) {
        let left = self.channel + half * 8;
        if left >= self.n {
            return;
        }
        let scales = f32x8::splat(scale) * load(&self.scales[half * 8..]);
        let value = math::apply(self.act, sums * scales + load(&self.bias[half * 8..]));
        store(
            value,
            &mut out[i * self.n + left..i * self.n + self.n.min(left + 8)],
        );
    }
}

/// Sums of products of R rows with the 4 channels of a quarter of a panel. Each channel's sum
/// comes in two neighbouring lanes.
#[inline(always)]
fn tile<const R: usize>(rows: [&[[u8; 4]]; R], lines: &[Line], quarter: usize) -> [i32x8; R] {
    // Of one length, so that the loop needs no bounds checks.
    let rows = rows.map(|row| &row[..lines.len()]);
    let mut sums = [i32x8::splat(0); R];
    for (g, line) in lines.iter().enumerate() {
        let weights = i16x16::from_i8x16(i8x16::new(line[quarter]));
        for r in 0..R {
            let four: u8x16 = cast(u32x4::splat(u32::from_ne_bytes(rows[r][g])));
            let four = i16x8::from_u8x16_low(four);
            sums[r] += weights.dot(cast([four, four]));
        }
    }
    sums
}

/// Sums of products of R rows with the 16 channels of a panel.
#[inline(always)]
fn dots<const R: usize>(a: &[u8], i: usize, lines: &[Line]) -> [[i32; PANEL]; R] {
    let groups = lines.len();
    let a = a.as_chunks::<4>().0;
    let rows = std::array::from_fn(|r| &a[(i + r) * groups..][..groups]);
    let mut dots = [[0; PANEL]; R];
    for quarter in 0..4 {
        let sums: [i32x8; R] = tile(rows, lines, quarter);
        for (dots, sums) in dots.iter_mut().zip(sums) {
            let [a, b, c, d, e, f, g, h] = sums.to_array();
            dots[quarter * 4..][..4].copy_from_slice(&[a + b, c + d, e + f, g + h]);
        }
    }
    dots
}

/// Rows `i..i + R` of one panel's outputs.
#[inline(always)]
fn block<const R: usize>(
    a: &[u8],
    params: &[RowQuant],
    panel: &Panel<'_>,
    i: usize,
    out: &mut [f32],
) {
    let dots = dots::<R>(a, i, panel.lines);
    for (r, dots) in dots.into_iter().enumerate() {
        let RowQuant { scale, zero } = params[i + r];
        let dots: [i32x8; 2] = cast(dots);
        for (half, dots) in dots.into_iter().enumerate() {
            let sums = dots - i32x8::splat(zero) * panel.sums[half];
            panel.finish(sums.round_float(), scale, i + r, half, out);
        }
    }
}

pub(crate) fn gemm_i8(
    a: &[u8],
    params: &[RowQuant],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    for panel in Panel::all(b, bias, act) {
        row_blocks!(m, i, block(a, params, &panel, i, out));
    }
}

/// As [`block`], of 16-bit activations in two planes.
#[inline(always)]
fn block_a16<const R: usize>(
    planes: [&[u8]; 2],
    scales: &[f32],
    panel: &Panel<'_>,
    i: usize,
    out: &mut [f32],
) {
    let [high, low] = planes.map(|plane| dots::<R>(plane, i, panel.lines));
    for (r, (high, low)) in high.into_iter().zip(low).enumerate() {
        let (high, low): ([i32x8; 2], [i32x8; 2]) = (cast(high), cast(low));
        for half in 0..2 {
            let high = high[half] - panel.sums[half] * i32x8::splat(128);
            let sums = high.round_float() * f32x8::splat(256.0) + low[half].round_float();
            panel.finish(sums, scales[i + r], i + r, half, out);
        }
    }
}

pub(crate) fn gemm_i8_a16(
    hi: &[u8],
    lo: &[u8],
    scales: &[f32],
    m: usize,
    b: &PackedI8<'_>,
    bias: &[f32],
    act: Activation,
    out: &mut [f32],
) {
    for panel in Panel::all(b, bias, act) {
        row_blocks!(m, i, block_a16([hi, lo], scales, &panel, i, out));
    }
}
