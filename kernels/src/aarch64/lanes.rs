//! Sixteen lanes in four registers.

use std::arch::{aarch64::*, asm};
use std::ops::{Add, Div, Mul, Sub};

use half::f16;

use super::level::Level;
use super::{unsafe_arith, unsafe_memory};
use crate::generic::simd::{LANES, Simd};
use crate::ops::Operation;

/// Proof that the CPU has the features of the level `L`. NEON is part of every aarch64 target.
#[derive(Clone, Copy)]
pub(super) struct Neon<L>(L);

impl<L: Level> Neon<L> {
    #[inline(always)]
    pub(super) fn new(level: L) -> Self {
        Self(level)
    }

    #[inline(always)]
    pub(super) fn level(self) -> L {
        self.0
    }
}

/// Lanes 0 to 3, 4 to 7, 8 to 11 and 12 to 15.
#[derive(Clone, Copy)]
pub(super) struct F32x16([float32x4_t; 4]);

/// Lanes 0 to 3, 4 to 7, 8 to 11 and 12 to 15.
#[derive(Clone, Copy)]
pub(super) struct I32x16(pub(super) [int32x4_t; 4]);

/// An array of four registers, by intrinsics that work in registers. A closure might not be
/// inlined.
macro_rules! four {
    ($i:ident => $call:expr) => {
        unsafe_arith!([
            {
                let $i = 0;
                $call
            },
            {
                let $i = 1;
                $call
            },
            {
                let $i = 2;
                $call
            },
            {
                let $i = 3;
                $call
            },
        ])
    };
}

macro_rules! operator {
    ($vector:ident: $($trait:ident $method:ident $intrinsic:ident),*) => {
        $(impl $trait for $vector {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(four!(i => $intrinsic(self.0[i], other.0[i])))
            }
        })*
    };
}

operator!(F32x16: Add add vaddq_f32, Sub sub vsubq_f32, Mul mul vmulq_f32, Div div vdivq_f32);
operator!(I32x16: Add add vaddq_s32, Sub sub vsubq_s32, Mul mul vmulq_s32);

/// Columns of a square of 4 by 4.
#[inline(always)]
fn transpose_4([a, b, c, d]: [float32x4_t; 4]) -> [float32x4_t; 4] {
    unsafe_arith!({
        let wide = |x| vreinterpretq_f64_f32(x);
        let (ab, ab_odd) = (wide(vtrn1q_f32(a, b)), wide(vtrn2q_f32(a, b)));
        let (cd, cd_odd) = (wide(vtrn1q_f32(c, d)), wide(vtrn2q_f32(c, d)));
        [
            vreinterpretq_f32_f64(vzip1q_f64(ab, cd)),
            vreinterpretq_f32_f64(vzip1q_f64(ab_odd, cd_odd)),
            vreinterpretq_f32_f64(vzip2q_f64(ab, cd)),
            vreinterpretq_f32_f64(vzip2q_f64(ab_odd, cd_odd)),
        ]
    })
}

/// Four f16 of either half of a register, widened. In assembly, as Rust's f16 is unstable.
#[inline(always)]
fn widen_halves(x: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    // SAFETY: NEON's instructions, which change nothing but the registers named.
    unsafe {
        asm!(
            "fcvtl {low:v}.4s, {x:v}.4h",
            "fcvtl2 {high:v}.4s, {x:v}.8h",
            low = out(vreg) low,
            high = lateout(vreg) high,
            x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    [low, high]
}

/// The lowest 16 bits of each lane.
#[inline(always)]
fn low_words(x: I32x16) -> [int16x8_t; 2] {
    unsafe_arith!([
        vuzp1q_s16(vreinterpretq_s16_s32(x.0[0]), vreinterpretq_s16_s32(x.0[1])),
        vuzp1q_s16(vreinterpretq_s16_s32(x.0[2]), vreinterpretq_s16_s32(x.0[3])),
    ])
}

/// The lanes as i16, saturated.
#[inline(always)]
fn saturated([a, b, c, d]: [int32x4_t; 4]) -> [int16x8_t; 2] {
    unsafe_arith!([
        vqmovn_high_s32(vqmovn_s32(a), b),
        vqmovn_high_s32(vqmovn_s32(c), d),
    ])
}

#[inline(always)]
fn array(x: uint8x16_t) -> [u8; LANES] {
    let mut to = [0; LANES];
    unsafe_memory!(vst1q_u8(to.as_mut_ptr(), x));
    to
}

impl<L: Level> Simd for Neon<L> {
    type F32 = F32x16;
    type I32 = I32x16;
    type Dot = L::Dot;
    const TILE_ROWS: &'static [usize] = L::TILE_ROWS;
    const TILE_PANELS: usize = 1;
    const WIDEN_FROM: usize = 24;

    #[inline(always)]
    unsafe fn vectorize<O: Operation>(op: O) -> O::Output {
        // SAFETY: the caller's promise.
        unsafe { L::vectorize(op) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> F32x16 {
        F32x16([unsafe_arith!(vdupq_n_f32(x)); 4])
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F32x16 {
        let (parts, _) = x.as_chunks::<4>();
        F32x16(unsafe_memory!([
            vld1q_f32(parts[0].as_ptr()),
            vld1q_f32(parts[1].as_ptr()),
            vld1q_f32(parts[2].as_ptr()),
            vld1q_f32(parts[3].as_ptr()),
        ]))
    }

    #[inline(always)]
    fn store(self, x: F32x16, to: &mut [f32; LANES]) {
        let (parts, _) = to.as_chunks_mut::<4>();
        unsafe_memory!({
            vst1q_f32(parts[0].as_mut_ptr(), x.0[0]);
            vst1q_f32(parts[1].as_mut_ptr(), x.0[1]);
            vst1q_f32(parts[2].as_mut_ptr(), x.0[2]);
            vst1q_f32(parts[3].as_mut_ptr(), x.0[3]);
        });
    }

    #[inline(always)]
    fn widen_f16(self, x: &[f16; LANES]) -> F32x16 {
        let (halves, _) = x.as_chunks::<8>();
        let [a, b] = widen_halves(unsafe_memory!(vld1q_u16(halves[0].as_ptr().cast())));
        let [c, d] = widen_halves(unsafe_memory!(vld1q_u16(halves[1].as_ptr().cast())));
        F32x16([a, b, c, d])
    }

    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> F32x16 {
        let x = unsafe_memory!(vld1q_s8(x.as_ptr()));
        unsafe_arith!({
            let (low, high) = (vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
            let lanes = [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ];
            self.to_f32(I32x16(lanes))
        })
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> I32x16 {
        I32x16([unsafe_arith!(vdupq_n_s32(x)); 4])
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; LANES]) -> I32x16 {
        let (parts, _) = x.as_chunks::<4>();
        I32x16(unsafe_memory!([
            vld1q_s32(parts[0].as_ptr()),
            vld1q_s32(parts[1].as_ptr()),
            vld1q_s32(parts[2].as_ptr()),
            vld1q_s32(parts[3].as_ptr()),
        ]))
    }

    #[inline(always)]
    fn load_bytes(self, x: &[i8; 4 * LANES]) -> I32x16 {
        let (parts, _) = x.as_chunks::<16>();
        let bytes = unsafe_memory!([
            vld1q_s8(parts[0].as_ptr()),
            vld1q_s8(parts[1].as_ptr()),
            vld1q_s8(parts[2].as_ptr()),
            vld1q_s8(parts[3].as_ptr()),
        ]);
        I32x16(four!(i => vreinterpretq_s32_s8(bytes[i])))
    }

    #[inline(always)]
    fn store_i32(self, x: I32x16, to: &mut [i32; LANES]) {
        let (parts, _) = to.as_chunks_mut::<4>();
        unsafe_memory!({
            vst1q_s32(parts[0].as_mut_ptr(), x.0[0]);
            vst1q_s32(parts[1].as_mut_ptr(), x.0[1]);
            vst1q_s32(parts[2].as_mut_ptr(), x.0[2]);
            vst1q_s32(parts[3].as_mut_ptr(), x.0[3]);
        });
    }

    #[inline(always)]
    fn to_f32(self, x: I32x16) -> F32x16 {
        F32x16(four!(i => vcvtq_f32_s32(x.0[i])))
    }

    #[inline(always)]
    fn round_even(self, x: F32x16) -> I32x16 {
        I32x16(four!(i => vcvtnq_s32_f32(x.0[i])))
    }

    #[inline(always)]
    fn to_bytes(self, x: I32x16) -> [u8; LANES] {
        let [low, high] = saturated(x.0);
        array(unsafe_arith!(vqmovun_high_s16(vqmovun_s16(low), high)))
    }

    #[inline(always)]
    fn to_bytes_of_four(self, x: [I32x16; 4]) -> [u8; 4 * LANES] {
        let bytes = |x| {
            let [low, high] = low_words(x);
            array(unsafe_arith!(vqmovun_high_s16(vqmovun_s16(low), high)))
        };
        bytemuck::cast([bytes(x[0]), bytes(x[1]), bytes(x[2]), bytes(x[3])])
    }

    #[inline(always)]
    fn second_bytes(self, x: I32x16) -> [u8; LANES] {
        let [low, high] = low_words(x);
        array(unsafe_arith!(vuzp2q_u8(
            vreinterpretq_u8_s16(low),
            vreinterpretq_u8_s16(high)
        )))
    }

    #[inline(always)]
    fn low_bytes(self, x: I32x16) -> [u8; LANES] {
        let [low, high] = low_words(x);
        array(unsafe_arith!(vuzp1q_u8(
            vreinterpretq_u8_s16(low),
            vreinterpretq_u8_s16(high)
        )))
    }

    #[inline(always)]
    fn narrow(self, x: I32x16) -> [i16; LANES] {
        let words = low_words(x);
        let mut to = [0; LANES];
        let (halves, _) = to.as_chunks_mut::<8>();
        unsafe_memory!({
            vst1q_s16(halves[0].as_mut_ptr(), words[0]);
            vst1q_s16(halves[1].as_mut_ptr(), words[1]);
        });
        to
    }

    #[inline(always)]
    fn pair(self, low: I32x16, high: I32x16) -> I32x16 {
        I32x16(four!(i => vsliq_n_s32::<16>(low.0[i], high.0[i])))
    }

    #[inline(always)]
    fn even_bytes(self, x: I32x16) -> I32x16 {
        I32x16(four!(i => {
            let words = vshlq_n_s16::<8>(vreinterpretq_s16_s32(x.0[i]));
            vreinterpretq_s32_s16(vshrq_n_s16::<8>(words))
        }))
    }

    #[inline(always)]
    fn odd_bytes(self, x: I32x16) -> I32x16 {
        I32x16(four!(i => {
            vreinterpretq_s32_s16(vshrq_n_s16::<8>(vreinterpretq_s16_s32(x.0[i])))
        }))
    }

    #[inline(always)]
    fn add_dot(self, sum: I32x16, a: I32x16, b: I32x16) -> I32x16 {
        // The first and the second integers of the pairs apart, because products widen.
        let apart = |x: I32x16| {
            let words = four!(i => vreinterpretq_s16_s32(x.0[i]));
            unsafe_arith!((
                [
                    vuzp1q_s16(words[0], words[1]),
                    vuzp1q_s16(words[2], words[3])
                ],
                [
                    vuzp2q_s16(words[0], words[1]),
                    vuzp2q_s16(words[2], words[3])
                ],
            ))
        };
        let ((a, a_second), (b, b_second)) = (apart(a), apart(b));
        let add = |[s, t, u, v]: [int32x4_t; 4], a: [int16x8_t; 2], b: [int16x8_t; 2]| {
            unsafe_arith!([
                vmlal_s16(s, vget_low_s16(a[0]), vget_low_s16(b[0])),
                vmlal_high_s16(t, a[0], b[0]),
                vmlal_s16(u, vget_low_s16(a[1]), vget_low_s16(b[1])),
                vmlal_high_s16(v, a[1], b[1]),
            ])
        };
        I32x16(add(add(sum.0, a, b), a_second, b_second))
    }

    #[inline(always)]
    fn fma(self, a: F32x16, b: F32x16, c: F32x16) -> F32x16 {
        F32x16(four!(i => vfmaq_f32(c.0[i], a.0[i], b.0[i])))
    }

    // `fmin` and `fmax` give NaN where one value is NaN.
    #[inline(always)]
    fn min(self, a: F32x16, b: F32x16) -> F32x16 {
        self.if_less(a, b, a, b)
    }

    #[inline(always)]
    fn max(self, a: F32x16, b: F32x16) -> F32x16 {
        self.if_less(b, a, a, b)
    }

    #[inline(always)]
    fn sqrt(self, x: F32x16) -> F32x16 {
        F32x16(four!(i => vsqrtq_f32(x.0[i])))
    }

    #[inline(always)]
    fn abs(self, x: F32x16) -> F32x16 {
        F32x16(four!(i => vabsq_f32(x.0[i])))
    }

    #[inline(always)]
    fn copysign(self, magnitude: F32x16, x: F32x16) -> F32x16 {
        let sign = unsafe_arith!(vdupq_n_u32(1 << 31));
        F32x16(four!(i => vbslq_f32(sign, x.0[i], magnitude.0[i])))
    }

    #[inline(always)]
    fn if_less(self, a: F32x16, b: F32x16, yes: F32x16, no: F32x16) -> F32x16 {
        F32x16(four!(i => vbslq_f32(vcltq_f32(a.0[i], b.0[i]), yes.0[i], no.0[i])))
    }

    #[inline(always)]
    fn any_nan(self, a: F32x16, b: F32x16) -> bool {
        let equal = four!(i => {
            vandq_u32(vceqq_f32(a.0[i], a.0[i]), vceqq_f32(b.0[i], b.0[i]))
        });
        unsafe_arith!({
            let all = vandq_u32(vandq_u32(equal[0], equal[1]), vandq_u32(equal[2], equal[3]));
            vminvq_u32(all) == 0
        })
    }

    #[inline(always)]
    fn scale(self, x: F32x16, n: F32x16) -> F32x16 {
        let n = self.round_even(n).0;
        // By two multiplications, so that neither factor leaves f32's range.
        F32x16(four!(i => {
            let exponent = |n| vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127)));
            let power = |n| vreinterpretq_f32_s32(exponent(n));
            let half = vshrq_n_s32::<1>(n[i]);
            vmulq_f32(vmulq_f32(x.0[i], power(half)), power(vsubq_s32(n[i], half)))
        }))
    }

    #[inline(always)]
    fn power_of_two(self, shifted: F32x16, factor: f32) -> F32x16 {
        let factor = unsafe_arith!(vdupq_n_s32(factor.to_bits() as i32));
        F32x16(four!(i => {
            let bits = vshlq_n_s32::<23>(vreinterpretq_s32_f32(shifted.0[i]));
            vreinterpretq_f32_s32(vaddq_s32(bits, factor))
        }))
    }

    #[inline(always)]
    fn sum(self, F32x16([a, b, c, d]): F32x16) -> f32 {
        unsafe_arith!({
            let x = vaddq_f32(vaddq_f32(a, c), vaddq_f32(b, d));
            let x = vadd_f32(vget_low_f32(x), vget_high_f32(x));
            vget_lane_f32::<0>(x) + vget_lane_f32::<1>(x)
        })
    }

    #[inline(always)]
    fn sum_i32(self, I32x16([a, b, c, d]): I32x16) -> i32 {
        unsafe_arith!(vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d))))
    }

    #[inline(always)]
    fn largest(self, F32x16([a, b, c, d]): F32x16) -> f32 {
        unsafe_arith!(vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, b), vmaxq_f32(c, d))))
    }

    #[inline(always)]
    fn transpose(self, rows: [F32x16; LANES]) -> [F32x16; LANES] {
        macro_rules! square {
            ($i:literal, $j:literal) => {
                transpose_4([
                    rows[4 * $i].0[$j],
                    rows[4 * $i + 1].0[$j],
                    rows[4 * $i + 2].0[$j],
                    rows[4 * $i + 3].0[$j],
                ])
            };
        }
        macro_rules! columns {
            ($($j:literal)*) => {
                [$({
                    let [a, b] = [square!(0, $j), square!(1, $j)];
                    let [c, d] = [square!(2, $j), square!(3, $j)];
                    [
                        F32x16([a[0], b[0], c[0], d[0]]),
                        F32x16([a[1], b[1], c[1], d[1]]),
                        F32x16([a[2], b[2], c[2], d[2]]),
                        F32x16([a[3], b[3], c[3], d[3]]),
                    ]
                }),*]
            };
        }
        let [a, b, c, d] = columns!(0 1 2 3);
        [
            a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1],
            d[2], d[3],
        ]
    }
}
