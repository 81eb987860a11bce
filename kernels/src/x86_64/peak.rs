//! Loops of one kind of instruction, for measuring; in assembly, so that the compiler cannot
//! shorten them.

use std::arch::asm;
use std::arch::x86_64::*;

use crate::peak::BLOCK;

/// Steps of a round. Twelve independent sums hide the latency of two units, and fit in the sixteen
/// registers of SSE and AVX.
pub(crate) const STEPS: u64 = 12;

/// A function that does `$step` to each of twelve sums `\i`, `rounds` times, and returns the first
/// lane of the first. `{x}` is a vector of `$x`, `{t}` a free register.
macro_rules! arithmetic {
    (
        $name:ident, $features:literal, $class:ident, $x:expr,
        $zero:literal, [$($step:literal),+], $take:literal $(,)?
    ) => {
        /// # Safety
        /// The CPU must have the tier's features. `rounds` is not 0.
        #[target_feature(enable = $features)]
        pub(crate) unsafe fn $name(rounds: u64) -> u32 {
            let x = $x;
            let lane: u32;
            // SAFETY: it touches no memory, and only the registers that it names.
            unsafe {
                asm!(
                    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11",
                    $zero,
                    ".endr",
                    ".p2align 5",
                    "2:",
                    ".irp i,0,1,2,3,4,5,6,7,8,9,10,11",
                    $($step,)+
                    ".endr",
                    "dec {rounds}",
                    "jnz 2b",
                    $take,
                    "/* {x} {t} */",
                    rounds = inout(reg) rounds => _,
                    lane = out(reg) lane,
                    x = in($class) x,
                    t = out($class) _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
                    out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _, out("xmm9") _,
                    out("xmm10") _, out("xmm11") _,
                    options(nomem, nostack),
                );
            }
            lane
        }
    };
}

/// A function that loads every byte of blocks, `$load` at a time.
macro_rules! reading {
    ($name:ident, $features:literal, [$($load:literal),+ $(,)?]) => {
        /// # Safety
        /// The CPU must have the tier's features. There is a block.
        #[target_feature(enable = $features)]
        pub(crate) unsafe fn $name(blocks: &[[u8; BLOCK]]) {
            // SAFETY: it reads the 512 bytes of each block, and writes nothing.
            unsafe {
                asm!(
                    ".p2align 5",
                    "2:",
                    ".irp i,0,64,128,192,256,320,384,448",
                    $($load,)+
                    ".endr",
                    "add {at}, 512",
                    "dec {left}",
                    "jnz 2b",
                    at = inout(reg) blocks.as_ptr() => _,
                    left = inout(reg) blocks.len() => _,
                    out("xmm0") _,
                    options(readonly, nostack),
                );
            }
        }
    };
}

arithmetic!(
    pmaddwd_sse2,
    "sse2",
    xmm_reg,
    _mm_set1_epi16(3),
    "pxor xmm\\i, xmm\\i",
    ["movdqa {t}, {x}", "pmaddwd {t}, {x}", "paddd xmm\\i, {t}"],
    "movd {lane:e}, xmm0",
);
arithmetic!(
    mul_add_sse2,
    "sse2",
    xmm_reg,
    _mm_set1_ps(1.0),
    "xorps xmm\\i, xmm\\i",
    ["movaps {t}, {x}", "mulps {t}, {x}", "addps xmm\\i, {t}"],
    "movd {lane:e}, xmm0",
);
arithmetic!(
    vpmaddwd_avx2,
    "avx2,fma",
    ymm_reg,
    _mm256_set1_epi16(3),
    "vpxor ymm\\i, ymm\\i, ymm\\i",
    ["vpmaddwd {t}, {x}, {x}", "vpaddd ymm\\i, ymm\\i, {t}"],
    "vmovd {lane:e}, xmm0",
);
arithmetic!(
    vpdpbusd_avx_vnni,
    "avx2,fma,avxvnni",
    ymm_reg,
    _mm256_set1_epi8(3),
    "vpxor ymm\\i, ymm\\i, ymm\\i",
    ["{{vex}} vpdpbusd ymm\\i, {x}, {x}"],
    "vmovd {lane:e}, xmm0",
);
arithmetic!(
    fma_avx2,
    "avx2,fma",
    ymm_reg,
    _mm256_set1_ps(1.0),
    "vxorps ymm\\i, ymm\\i, ymm\\i",
    ["vfmadd231ps ymm\\i, {x}, {x}"],
    "vmovd {lane:e}, xmm0",
);
arithmetic!(
    vpdpbusd_avx512,
    "avx512f,avx512vnni",
    zmm_reg,
    _mm512_set1_epi8(3),
    "vpxord zmm\\i, zmm\\i, zmm\\i",
    ["vpdpbusd zmm\\i, {x}, {x}"],
    "vmovd {lane:e}, xmm0",
);
arithmetic!(
    vpdpwssd_avx512,
    "avx512f,avx512vnni",
    zmm_reg,
    _mm512_set1_epi16(3),
    "vpxord zmm\\i, zmm\\i, zmm\\i",
    ["vpdpwssd zmm\\i, {x}, {x}"],
    "vmovd {lane:e}, xmm0",
);
arithmetic!(
    fma_avx512,
    "avx512f",
    zmm_reg,
    _mm512_set1_ps(1.0),
    "vpxord zmm\\i, zmm\\i, zmm\\i",
    ["vfmadd231ps zmm\\i, {x}, {x}"],
    "vmovd {lane:e}, xmm0",
);

reading!(
    read_sse2,
    "sse2",
    [
        "movups xmm0, [{at} + \\i]",
        "movups xmm0, [{at} + \\i + 16]",
        "movups xmm0, [{at} + \\i + 32]",
        "movups xmm0, [{at} + \\i + 48]",
    ]
);
reading!(
    read_avx2,
    "avx2",
    [
        "vmovups ymm0, [{at} + \\i]",
        "vmovups ymm0, [{at} + \\i + 32]"
    ]
);
reading!(read_avx512, "avx512f", ["vmovups zmm0, [{at} + \\i]"]);
