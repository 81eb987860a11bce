//! What a CPU has beyond NEON.

use std::arch::{aarch64::*, asm, is_aarch64_feature_detected};

use super::lanes::{I32x16, Neon};
use crate::generic::dot::{Dot, Pairs};
use crate::generic::simd::{LANES, Simd};
use crate::ops::Operation;

/// Proof of features beyond NEON: a value can only be made inside a function that was compiled for
/// them.
pub(super) trait Level: Copy {
    /// How attention's queries and keys are multiplied.
    type Dot: Dot<Neon<Self>>;
    /// [`Simd::TILE_ROWS`].
    const TILE_ROWS: &'static [usize];

    /// Whether this CPU has the features.
    fn detected() -> bool;

    /// Computes an operation in a function that is compiled for the features.
    ///
    /// # Safety
    /// The CPU has the features.
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output;
}

/// NEON alone.
#[derive(Clone, Copy)]
pub(super) struct Base(());

impl Level for Base {
    type Dot = Pairs;
    // 16 registers of sums; taking pairs of 16 bits apart needs most of the others.
    const TILE_ROWS: &'static [usize] = &[4, 2, 1];

    fn detected() -> bool {
        true
    }

    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        op.compute(Neon::new(Self(())))
    }
}

/// Dot products of four signed bytes: ARMv8.2's `dotprod`.
#[derive(Clone, Copy)]
pub(super) struct DotProd(());

impl DotProd {
    #[inline]
    #[target_feature(enable = "dotprod")]
    pub(super) fn new() -> Self {
        Self(())
    }

    /// Adds to each lane of `sum` the four products of signed bytes of `b` and of the lane `I` of
    /// `a`.
    #[inline(always)]
    pub(super) fn add_dot_lane<const I: usize>(
        self,
        mut sum: int32x4_t,
        a: int8x16_t,
        b: int8x16_t,
    ) -> int32x4_t {
        // SAFETY: the token proves the feature; the instruction changes nothing but the register.
        // Rust's intrinsic is unstable.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {b:v}.16b, {a:v}.4b[{i}]",
                sum = inout(vreg) sum,
                a = in(vreg) a,
                b = in(vreg) b,
                i = const I,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }

    /// Adds to each lane of `sum` the four products of signed bytes of `a` and `b`.
    #[inline(always)]
    pub(super) fn add_dot(self, mut sum: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: as in `add_dot_lane`.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
}

impl Level for DotProd {
    type Dot = Bytes;
    // 24 registers of sums, of 32.
    const TILE_ROWS: &'static [usize] = &[6, 4, 2, 1];

    fn detected() -> bool {
        is_aarch64_feature_detected!("dotprod")
    }

    #[target_feature(enable = "dotprod")]
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        op.compute(Neon::new(Self::new()))
    }
}

/// Products of 2 by 8 and 8 by 2 bytes: ARMv8.6's `i8mm`. All such CPUs have `dotprod`.
#[derive(Clone, Copy)]
pub(super) struct I8mm(DotProd);

impl I8mm {
    #[inline]
    #[target_feature(enable = "dotprod,i8mm")]
    pub(super) fn new() -> Self {
        Self(DotProd::new())
    }

    /// Adds to `sum`, two rows of two, the products of two rows of eight unsigned bytes of `a` with
    /// two rows of eight signed bytes of `b`.
    #[inline(always)]
    pub(super) fn add_square(self, mut sum: int32x4_t, a: uint8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: the token proves the feature; the instruction changes nothing but the register.
        // Rust's intrinsic is unstable.
        unsafe {
            asm!(
                "usmmla {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        sum
    }
}

impl Level for I8mm {
    type Dot = Bytes;
    // 24 registers of sums, of 32.
    const TILE_ROWS: &'static [usize] = &[6, 4, 2, 1];

    fn detected() -> bool {
        DotProd::detected() && is_aarch64_feature_detected!("i8mm")
    }

    #[target_feature(enable = "dotprod,i8mm")]
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        op.compute(Neon::new(Self::new()))
    }
}

/// A level with dot products of bytes.
pub(super) trait HasDotProd: Level {
    /// The proof of it.
    fn dotprod(self) -> DotProd;
}

impl HasDotProd for DotProd {
    #[inline(always)]
    fn dotprod(self) -> DotProd {
        self
    }
}

impl HasDotProd for I8mm {
    #[inline(always)]
    fn dotprod(self) -> DotProd {
        self.0
    }
}

/// Four signed bytes per lane.
#[derive(Clone, Copy)]
pub(super) struct Bytes;

impl<L: HasDotProd> Dot<Neon<L>> for Bytes {
    const WIDTH: usize = 4;
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn add_dot(s: Neon<L>, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        let level = s.level().dotprod();
        I32x16([
            level.add_dot(sum.0[0], a.0[0], b.0[0]),
            level.add_dot(sum.0[1], a.0[1], b.0[1]),
            level.add_dot(sum.0[2], a.0[2], b.0[2]),
            level.add_dot(sum.0[3], a.0[3], b.0[3]),
        ])
    }

    #[inline(always)]
    fn pack(s: Neon<L>, x: I32x16, to: &mut [i32]) {
        let lanes: [i32; LANES / 4] = bytemuck::cast(s.low_bytes(x));
        to.copy_from_slice(&lanes);
    }
}
