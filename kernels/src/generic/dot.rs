//! Products of small integers, several to a lane, exact in i32: attention's, and, on tiers without
//! a dot product of bytes, those of int8 weights, whose bytes are widened first.

use super::cut;
use super::simd::{LANES, Simd};

/// One lane for each of 16 channels (or tokens).
pub(crate) type Line = [i32; LANES];

/// How a tier multiplies integers of 8 bits: how many a lane holds, and how.
pub(crate) trait Dot<S: Simd> {
    /// Integers in a lane.
    const WIDTH: usize;
    /// Added to the first operand's integers.
    const OFFSET: i32;

    /// Adds to each lane of `sum` the products of the integers of `a` and `b`; wraps.
    fn add_dot(s: S, sum: S::I32, a: S::I32, b: S::I32) -> S::I32;
    /// 16 integers of either operand, as `16 / WIDTH` lanes. They are from -128 to 127, or with the
    /// offset up to 255.
    fn pack(s: S, x: S::I32, to: &mut [i32]);
}

/// Two i16 per lane, on every tier. Attention's probabilities and values are such pairs anyway.
#[derive(Clone, Copy)]
pub(crate) struct Pairs;

impl<S: Simd> Dot<S> for Pairs {
    const WIDTH: usize = 2;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn add_dot(s: S, sum: S::I32, a: S::I32, b: S::I32) -> S::I32 {
        s.add_dot(sum, a, b)
    }

    #[inline(always)]
    fn pack(s: S, x: S::I32, to: &mut [i32]) {
        let lanes: [i32; 8] = bytemuck::cast(s.narrow(x));
        to.copy_from_slice(&lanes);
    }
}

/// Adds `sum_g rows[r][g] . panels[p][g][c]` to the sums of R rows with P panels. Wraps.
#[inline(always)]
pub(crate) fn tile<D: Dot<S>, S: Simd, const R: usize, const P: usize>(
    s: S,
    rows: [&[i32]; R],
    panels: [&[Line]; P],
    mut sums: [[S::I32; P]; R],
) -> [[S::I32; P]; R] {
    // The same length for all, so that the loop needs no bounds checks.
    let len = panels[0].len();
    let (rows, panels) = (cut(rows, len), cut(panels, len));
    let zero = s.splat_i32(0);
    for g in 0..len {
        let mut lines = [zero; P];
        for (line, panel) in lines.iter_mut().zip(panels) {
            *line = s.load_i32(&panel[g]);
        }
        for (row, sums) in rows.iter().zip(&mut sums) {
            let lane = s.splat_i32(row[g]);
            for (sum, &line) in sums.iter_mut().zip(&lines) {
                *sum = D::add_dot(s, *sum, lane, line);
            }
        }
    }
    sums
}
