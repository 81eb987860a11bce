//! AMX's instructions, encoded by the assembler, against plain arithmetic. On a CPU that has them,
//! this compares the CPU with the arithmetic, and so shows that the emulator is like the CPU.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use std::arch::asm;

use common::Random;
use lanerank_emulator::emulate_missing_tiers;
use lanerank_kernels::{Isa, Kernels};

/// Whether tiles work here, on the CPU or emulated.
fn tiles_work() -> bool {
    emulate_missing_tiers();
    let work = Kernels::for_isa(Isa::AmxInt8).is_ok();
    if !work {
        eprintln!("SKIPPED: no tiles, and they cannot be emulated");
    }
    work
}

#[repr(C, align(64))]
struct Config([u8; 64]);

/// Shapes (rows, bytes of a row) of tiles 0, 1 and 2.
fn config(shapes: [(usize, usize); 3]) -> Config {
    let mut config = [0; 64];
    config[0] = 1;
    for (tile, (rows, row_bytes)) in shapes.into_iter().enumerate() {
        config[16 + 2 * tile] = row_bytes as u8;
        config[48 + tile] = rows as u8;
    }
    Config(config)
}

/// One product: `sums` (m rows of n) plus `a` (m rows of k groups of 4 bytes) times `b` (k rows
/// of n groups of 4).
struct Product {
    m: usize,
    n: usize,
    k: usize,
    a: Vec<u8>,
    b: Vec<u8>,
    sums: Vec<i32>,
}

impl Product {
    fn random(random: &mut Random, (m, n, k): (usize, usize, usize)) -> Self {
        let extreme = random.below(4) == 0;
        let bytes = |random: &mut Random, len| -> Vec<u8> {
            (0..len)
                .map(|_| {
                    if extreme {
                        [0, 127, 128, 255][random.below(4)]
                    } else {
                        random.bits() as u8
                    }
                })
                .collect()
        };
        Self {
            m,
            n,
            k,
            a: bytes(random, m * k * 4),
            b: bytes(random, k * n * 4),
            sums: (0..m * n).map(|_| random.bits() as i32).collect(),
        }
    }

    fn expected(&self, a_signed: bool, b_signed: bool) -> Vec<i32> {
        let value = |byte: u8, signed: bool| {
            if signed {
                i64::from(byte as i8)
            } else {
                i64::from(byte)
            }
        };
        let mut expected = Vec::new();
        for i in 0..self.m {
            for j in 0..self.n {
                let mut sum = i64::from(self.sums[i * self.n + j]);
                for d in 0..4 * self.k {
                    let a = self.a[i * self.k * 4 + d];
                    let b = self.b[(d / 4 * self.n + j) * 4 + d % 4];
                    sum += value(a, a_signed) * value(b, b_signed);
                }
                expected.push(sum as i32);
            }
        }
        expected
    }
}

macro_rules! run {
    ($instruction:literal, $product:expr) => {{
        let product: &Product = $product;
        let (m, n, k) = (product.m, product.n, product.k);
        let config = config([(m, 4 * n), (m, 4 * k), (k, 4 * n)]);
        let mut sums = product.sums.clone();
        // SAFETY: tiles work here, and the shapes are those of the vectors.
        unsafe {
            asm!(
                "ldtilecfg [{config}]",
                "tileloadd tmm0, [{sums} + {columns}]",
                "tileloadd tmm1, [{a} + {depth}]",
                "tileloaddt1 tmm2, [{b} + {columns}]",
                concat!($instruction, " tmm0, tmm1, tmm2"),
                "tilestored [{sums} + {columns}], tmm0",
                "tilerelease",
                config = in(reg) &config,
                sums = in(reg) sums.as_mut_ptr(),
                a = in(reg) product.a.as_ptr(),
                b = in(reg) product.b.as_ptr(),
                columns = in(reg) 4 * n,
                depth = in(reg) 4 * k,
                out("tmm0") _, out("tmm1") _, out("tmm2") _,
            );
        }
        sums
    }};
}

#[test]
fn products_of_bytes() {
    if !tiles_work() {
        return;
    }
    let random = &mut Random::new(1);
    for turn in 0..200 {
        let shape = match turn {
            0 => (16, 16, 16),
            1 => (1, 1, 1),
            _ => (
                1 + random.below(16),
                1 + random.below(16),
                1 + random.below(16),
            ),
        };
        let product = Product::random(random, shape);
        assert_eq!(
            run!("tdpbssd", &product),
            product.expected(true, true),
            "{shape:?}"
        );
        assert_eq!(
            run!("tdpbsud", &product),
            product.expected(true, false),
            "{shape:?}"
        );
        assert_eq!(
            run!("tdpbusd", &product),
            product.expected(false, true),
            "{shape:?}"
        );
        assert_eq!(
            run!("tdpbuud", &product),
            product.expected(false, false),
            "{shape:?}"
        );
    }
}

/// The four products together make a product of 16-bit operands.
#[test]
fn products_of_words_by_bytes() {
    if !tiles_work() {
        return;
    }
    let random = &mut Random::new(2);
    let (m, n, k) = (5, 7, 2);
    let words = |random: &mut Random, len| -> Vec<i16> {
        (0..len).map(|_| random.bits() as i16 >> 4).collect()
    };
    let (a, b) = (words(random, m * k * 4), words(random, k * n * 4));
    let high = |x: &[i16]| -> Vec<u8> { x.iter().map(|x| (x >> 8) as u8).collect() };
    let low = |x: &[i16]| -> Vec<u8> { x.iter().map(|&x| x as u8).collect() };
    let product = |a, b| Product {
        m,
        n,
        k,
        a,
        b,
        sums: vec![0; m * n],
    };
    let high_high = run!("tdpbssd", &product(high(&a), high(&b)));
    let high_low = run!("tdpbsud", &product(high(&a), low(&b)));
    let low_high = run!("tdpbusd", &product(low(&a), high(&b)));
    let low_low = run!("tdpbuud", &product(low(&a), low(&b)));
    for i in 0..m {
        for j in 0..n {
            let exact: i64 = (0..4 * k)
                .map(|d| i64::from(a[i * k * 4 + d]) * i64::from(b[(d / 4 * n + j) * 4 + d % 4]))
                .sum();
            let at = |sums: &[i32]| i64::from(sums[i * n + j]);
            let middle = at(&high_low) + at(&low_high);
            assert_eq!((at(&high_high) << 16) + (middle << 8) + at(&low_low), exact);
        }
    }
}

/// All registers, and all ways to address memory.
#[test]
fn loads_and_stores() {
    if !tiles_work() {
        return;
    }
    let mut shapes = Config([0; 64]);
    shapes.0[0] = 1;
    for tile in 0..8 {
        (shapes.0[16 + 2 * tile], shapes.0[48 + tile]) = (8, 3);
    }
    let from: Vec<u8> = (0..=255).collect();
    let mut to = vec![0xEE_u8; 256];
    // SAFETY: tiles work here; offsets and strides stay within both vectors.
    unsafe {
        asm!(
            "ldtilecfg [r13]",
            "tileloadd tmm0, [r12 + 8]",               // no index: the stride is 0
            "tilestored [rdx + rcx], tmm0",
            "tileloadd tmm7, [r12 + 4*rcx - 4 + 8]",   // stride 32
            "tilestored [rdx + rcx + 32], tmm7",
            "neg rcx",
            "tileloadd tmm3, [r12 + 2*rcx + 200]",     // downwards
            "neg rcx",
            "tilestored [rdx + r8 + 0x40], tmm3",      // stride 16
            "tilezero tmm5",
            "tilestored [rdx + r8 + 0xa0], tmm5",      // a displacement of 32 bits
            "lea r13, [r12 + 100]",
            "tileloadd tmm5, [r13 + 8*r9]",            // stride 8
            "tilestored [rdx + rcx + 0xe0], tmm5",
            "tilerelease",
            inout("r13") &shapes => _,
            in("r12") from.as_ptr(),
            in("rdx") to.as_mut_ptr(),
            inout("rcx") 8_usize => _,
            in("r8") 16_usize,
            in("r9") 1_usize,
            out("tmm0") _, out("tmm3") _, out("tmm5") _, out("tmm7") _,
        );
    }
    let mut expected = vec![0xEE_u8; 256];
    for row in 0..3 {
        expected[8 * row..][..8].copy_from_slice(&from[8..16]);
        expected[32 + 8 * row..][..8].copy_from_slice(&from[4 + 32 * row..][..8]);
        expected[0x40 + 16 * row..][..8].copy_from_slice(&from[200 - 16 * row..][..8]);
        expected[0xA0 + 16 * row..][..8].fill(0);
        expected[0xE0 + 8 * row..][..8].copy_from_slice(&from[100 + 8 * row..][..8]);
    }
    assert_eq!(to, expected);
}
