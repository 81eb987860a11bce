//! The products of i16 pairs, exact in i32: attention's, and on tiers without a dot product of
//! bytes those of int8 weights, whose bytes are widened first.

use super::cut;
use super::simd::{LANES, Simd};

/// A pair of i16 for each of 16 channels (or tokens).
pub(crate) type Line = [i32; LANES];

/// Adds `sum_g rows[r][g] . panels[p][g][c]` to the sums of R rows with P panels; each operand is
/// two i16. Wraps.
#[inline(always)]
pub(crate) fn tile<S: Simd, const R: usize, const P: usize>(
    s: S,
    rows: [&[i32]; R],
    panels: [&[Line]; P],
    mut sums: [[S::I32; P]; R],
) -> [[S::I32; P]; R] {
    // Of one length, so that the loop needs no bounds checks.
    let len = panels[0].len();
    let (rows, panels) = (cut(rows, len), cut(panels, len));
    let zero = s.splat_i32(0);
    for g in 0..len {
        let mut lines = [zero; P];
        for (line, panel) in lines.iter_mut().zip(panels) {
            *line = s.load_i32(&panel[g]);
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            let pair = s.splat_i32(row[g]);
            for (sum, &line) in sums.iter_mut().zip(&lines) {
                *sum = s.add_dot(*sum, pair, line);
            }
        }
    }
    sums
}
