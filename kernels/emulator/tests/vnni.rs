//! AVX-VNNI's instructions, encoded by the assembler, against plain arithmetic, and against
//! AVX-512's equivalent instructions where the CPU has them.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::arch::asm;

use common::Random;
use lanerank_emulator::emulate_missing_tiers;
use lanerank_kernels::{Isa, Kernels};

fn vnni_works() -> bool {
    emulate_missing_tiers();
    let works = Kernels::for_isa(Isa::AvxVnni).is_ok();
    if !works {
        eprintln!("SKIPPED: no AVX-VNNI, and it cannot be emulated");
    }
    works
}

type Ymm = [i32; 8];

/// Groups of 4 bytes, unsigned times signed.
fn bytes(a: i32, b: i32) -> i64 {
    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
    (0..4)
        .map(|i| i64::from(a[i]) * i64::from(b[i] as i8))
        .sum()
}

/// Pairs of signed words.
fn words(a: i32, b: i32) -> i64 {
    let high = |x: i32| i64::from(x >> 16);
    let low = |x: i32| i64::from(x as i16);
    high(a) * high(b) + low(a) * low(b)
}

fn expected(sum: &Ymm, a: &Ymm, b: &Ymm, products: fn(i32, i32) -> i64, saturate: bool) -> Ymm {
    std::array::from_fn(|i| {
        let exact = i64::from(sum[i]) + products(a[i], b[i]);
        if saturate {
            exact.clamp(i32::MIN.into(), i32::MAX.into()) as i32
        } else {
            exact as i32
        }
    })
}

/// With all operands in registers, low and high ones, and with one in memory.
macro_rules! run {
    ($prefix:literal, $name:literal, $sum:expr, $a:expr, $b:expr) => {{
        let (mut sum, mut other) = ($sum, $sum);
        // SAFETY: AVX-VNNI works here (or AVX-512 with VNNI and VL, for its encodings); each load
        // and store is one array.
        unsafe {
            asm!(
                "vmovdqu ymm3, [{sum}]",
                "vmovdqu ymm12, [{a}]",
                "vmovdqu ymm9, [{b}]",
                "vmovdqu ymm14, ymm3",
                concat!($prefix, $name, " ymm3, ymm12, ymm9"),
                concat!($prefix, $name, " ymm14, ymm12, [{b} + 8*{zero}]"),
                "vmovdqu [{sum}], ymm3",
                "vmovdqu [{other}], ymm14",
                sum = in(reg) &mut sum,
                other = in(reg) &mut other,
                a = in(reg) &$a,
                b = in(reg) &$b,
                zero = in(reg) 0_usize,
                out("xmm3") _, out("xmm9") _, out("xmm12") _, out("xmm14") _,
            );
        }
        assert_eq!(sum, other, "{}", $name);
        sum
    }};
}

#[test]
fn dot_products() {
    if !vnni_works() {
        return;
    }
    let random = &mut Random::new(1);
    let has_avx512 = Kernels::for_isa(Isa::Avx512Vnni).is_ok();
    for turn in 0..300 {
        let mut ymm = || -> Ymm {
            const EXTREMES: [u32; 6] = [0, !0, 0x7F7F_7F7F, 0x8080_8080, 0x7FFF_7FFF, 0x8000_8000];
            std::array::from_fn(|_| match turn % 3 {
                0 => EXTREMES[random.below(6)] as i32,
                _ => random.bits() as i32,
            })
        };
        let (sum, a, b) = (ymm(), ymm(), ymm());
        macro_rules! check {
            ($name:literal, $products:expr, $saturate:expr) => {
                let expected = expected(&sum, &a, &b, $products, $saturate);
                assert_eq!(run!("{{vex}} ", $name, sum, a, b), expected, $name);
                if has_avx512 {
                    assert_eq!(run!("{{evex}} ", $name, sum, a, b), expected, $name);
                }
            };
        }
        check!("vpdpbusd", bytes, false);
        check!("vpdpbusds", bytes, true);
        check!("vpdpwssd", words, false);
        check!("vpdpwssds", words, true);
    }
}

/// A VEX-encoded instruction clears the rest of its register, and leaves other registers alone.
#[test]
fn upper_halves() {
    if !vnni_works() || Kernels::for_isa(Isa::Avx512Vnni).is_err() {
        return;
    }
    let (ones, mut written, mut kept) = ([-1_i32; 16], [7_i32; 16], [7_i32; 16]);
    // SAFETY: both instruction sets work here; each load and store is one array.
    unsafe {
        asm!(
            "vmovdqu32 zmm5, [{ones}]",
            "vmovdqu32 zmm6, [{ones}]",
            "{{vex}} vpdpwssd ymm5, ymm6, ymm6",
            "vmovdqu32 [{written}], zmm5",
            "vmovdqu32 [{kept}], zmm6",
            ones = in(reg) &ones,
            written = in(reg) &mut written,
            kept = in(reg) &mut kept,
            out("zmm5") _, out("zmm6") _,
        );
    }
    let expected: [i32; 16] = std::array::from_fn(|i| i32::from(i < 8));
    assert_eq!((written, kept), (expected, ones));
}
