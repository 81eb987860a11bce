//! What the machine could do at best: loops that multiply and add in registers only, and loops that
//! only read. Kernels are measured against them (`lanerank bench --kernels`).
//!
//! The caller takes the time. The instructions are those that a tier's kernels are made of, so the
//! figures are that tier's ceilings, not the CPU's.

use crate::{Isa, Kernels};

/// A kind of multiply-add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arithmetic {
    /// Products of bytes, added up in i32: what `gemm_i8` does. The tiers without such an instruction
    /// use that for 16 bits, and so does their loop.
    Int8,
    /// Products of 16 bits, added up in i32: what `attention_i8` does with probabilities and values.
    Int16,
    /// Single precision, fused where the CPU can: what `gemm_f32` does.
    F32,
}

/// What a loop of multiply-adds did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// How many there were.
    pub multiply_adds: u64,
    /// The bits of one lane of one of its sums (i32 or f32), by which a test can see that the steps
    /// were taken: the sums begin at 0, and the operands are all 3 (integers) or 1.
    pub lane: u32,
}

/// Multiplies and adds in registers, `rounds` times over. `None` where there is no such loop: on
/// `reference`, on targets other than x86-64, and on `portable` where the build enables AVX, so that
/// its vectors are not those of the baseline.
#[must_use]
pub fn multiply_adds(kernels: &Kernels, arithmetic: Arithmetic, rounds: u32) -> Option<Done> {
    #[cfg(target_arch = "x86_64")]
    {
        use crate::x86_64::{amx_int8, peak};
        use Arithmetic::{F32, Int8, Int16};
        let (run, each): (unsafe fn(u64) -> u32, u64) = match (kernels.isa(), arithmetic) {
            (Isa::Reference, _) => return None,
            (Isa::Portable, _) if cfg!(target_feature = "avx") => return None,
            (Isa::Portable, Int8 | Int16) => (peak::pmaddwd_sse2, peak::STEPS * 8),
            (Isa::Portable, F32) => (peak::mul_add_sse2, peak::STEPS * 4),
            (Isa::AvxVnni, Int8) => (peak::vpdpbusd_avx_vnni, peak::STEPS * 32),
            (Isa::Avx2 | Isa::AvxVnni, Int8 | Int16) => (peak::vpmaddwd_avx2, peak::STEPS * 16),
            (Isa::Avx2 | Isa::AvxVnni, F32) => (peak::fma_avx2, peak::STEPS * 8),
            (Isa::AmxInt8, Int8) => (amx_int8::peak::tdpbusd, amx_int8::peak::MULTIPLY_ADDS),
            (Isa::Avx512Vnni, Int8) => (peak::vpdpbusd_avx512, peak::STEPS * 64),
            (Isa::Avx512Vnni | Isa::AmxInt8, Int16) => (peak::vpdpwssd_avx512, peak::STEPS * 32),
            (Isa::Avx512Vnni | Isa::AmxInt8, F32) => (peak::fma_avx512, peak::STEPS * 16),
        };
        let rounds = u64::from(rounds);
        let lane = match rounds {
            0 => 0,
            // SAFETY: `kernels` is of this tier, and there is one only where the CPU has its
            // features.
            _ => unsafe { run(rounds) },
        };
        Some(Done {
            multiply_adds: rounds * each,
            lane,
        })
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (kernels, arithmetic, rounds, Isa::Reference);
        None
    }
}

/// Bytes that [`read`] loads at a time.
pub const BLOCK: usize = 512;

/// Reads all of `data`, but for a rest of less than [`BLOCK`], with loads as wide as the tier's, and
/// does nothing else; returns the bytes read. `None` as for [`multiply_adds`].
#[must_use]
pub fn read(kernels: &Kernels, data: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    {
        use crate::x86_64::peak;
        let run: unsafe fn(&[[u8; BLOCK]]) = match kernels.isa() {
            Isa::Reference => return None,
            Isa::Portable if cfg!(target_feature = "avx") => return None,
            Isa::Portable => peak::read_sse2,
            Isa::Avx2 | Isa::AvxVnni => peak::read_avx2,
            Isa::Avx512Vnni | Isa::AmxInt8 => peak::read_avx512,
        };
        let blocks = data.as_chunks().0;
        if !blocks.is_empty() {
            // SAFETY: as in `multiply_adds`.
            unsafe { run(blocks) };
        }
        Some(BLOCK * blocks.len())
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = (kernels, data, Isa::Reference);
        None
    }
}
