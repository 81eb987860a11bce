//! A machine's ceilings, for benchmarks: loops that multiply and add in registers only, and loops
//! that only read.
//!
//! The caller measures the time. The instructions are those of a tier's kernels, so the figures are
//! that tier's ceilings, not the CPU's.

use crate::{Isa, Kernels};

/// A kind of multiply-add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// Products of bytes, summed in i32, as in `gemm_i8`. Tiers without an instruction for bytes
    /// use the one for 16 bits, in the kernel and in this loop.
    Int8,
    /// Products of 16 bits, summed in i32, as in `attention_i8` for probabilities and values.
    Int16,
    /// Single precision, fused where the CPU can, as in `gemm_f32`.
    F32,
}

/// What a loop of multiply-adds did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Number of multiply-adds.
    pub multiply_adds: u64,
    /// Bits of one lane of one sum (i32 or f32), by which a test sees that the loop ran. Sums start
    /// at 0; all operands are 3 (integers) or 1 (f32).
    pub lane: u32,
}

/// Multiplies and adds in registers, for `rounds` rounds. `None` where there is no such loop: on
/// `reference`, on targets other than x86-64, and on `portable` if the build enables AVX, because
/// its vectors are then not the baseline's.
#[must_use]
pub fn multiply_adds(kernels: &Kernels, arithmetic: Arithmetic, rounds: u32) -> Option<Done> {
    let (run, each) = arithmetic_loop(kernels.isa(), arithmetic)?;
    let rounds = u64::from(rounds);
    let lane = match rounds {
        0 => 0,
        // SAFETY: the loop is that of the tier of `kernels`, which exists only where the CPU has
        // the features.
        _ => unsafe { run(rounds) },
    };
    Some(Done {
        multiply_adds: rounds * each,
        lane,
    })
}

/// Bytes per step of [`read`].
pub const BLOCK: usize = 512;

/// Reads `data`, except a rest of less than [`BLOCK`], with loads as wide as the tier's; returns
/// the bytes read. `None` as for [`multiply_adds`].
#[must_use]
pub fn read(kernels: &Kernels, data: &[u8]) -> Option<usize> {
    let run = reading_loop(kernels.isa())?;
    let blocks = data.as_chunks().0;
    if !blocks.is_empty() {
        // SAFETY: as in `multiply_adds`.
        unsafe { run(blocks) };
    }
    Some(BLOCK * blocks.len())
}

/// A loop of a number of rounds, not 0, that needs a tier's features.
type ArithmeticLoop = unsafe fn(u64) -> u32;
/// A loop over blocks, at least one, that needs a tier's features.
type ReadingLoop = unsafe fn(&[[u8; BLOCK]]);

/// A tier's loop, and the multiply-adds of a round.
#[cfg(target_arch = "x86_64")]
fn arithmetic_loop(isa: Isa, arithmetic: Arithmetic) -> Option<(ArithmeticLoop, u64)> {
    use crate::x86_64::{amx_int8, peak};
    use Arithmetic::{F32, Int8, Int16};
    let (run, lanes): (ArithmeticLoop, u64) = match (isa, arithmetic) {
        (Isa::Portable, _) if cfg!(target_feature = "avx") => return None,
        (Isa::Portable, Int8 | Int16) => (peak::pmaddwd_sse2, 8),
        (Isa::Portable, F32) => (peak::mul_add_sse2, 4),
        (Isa::AvxVnni, Int8) => (peak::vpdpbusd_avx_vnni, 32),
        (Isa::Avx2 | Isa::AvxVnni, Int8 | Int16) => (peak::vpmaddwd_avx2, 16),
        (Isa::Avx2 | Isa::AvxVnni, F32) => (peak::fma_avx2, 8),
        (Isa::AmxInt8, Int8) => {
            return Some((amx_int8::peak::tdpbusd, amx_int8::peak::MULTIPLY_ADDS));
        }
        (Isa::Avx512Vnni, Int8) => (peak::vpdpbusd_avx512, 64),
        (Isa::Avx512Vnni | Isa::AmxInt8, Int16) => (peak::vpdpwssd_avx512, 32),
        (Isa::Avx512Vnni | Isa::AmxInt8, F32) => (peak::fma_avx512, 16),
        _ => return None,
    };
    Some((run, peak::STEPS * lanes))
}

#[cfg(target_arch = "x86_64")]
fn reading_loop(isa: Isa) -> Option<ReadingLoop> {
    use crate::x86_64::peak;
    match isa {
        Isa::Portable if cfg!(target_feature = "avx") => None,
        Isa::Portable => Some(peak::read_sse2),
        Isa::Avx2 | Isa::AvxVnni => Some(peak::read_avx2),
        Isa::Avx512Vnni | Isa::AmxInt8 => Some(peak::read_avx512),
        _ => None,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn arithmetic_loop(_: Isa, _: Arithmetic) -> Option<(ArithmeticLoop, u64)> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
fn reading_loop(_: Isa) -> Option<ReadingLoop> {
    None
}
