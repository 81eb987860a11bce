//! Raw answers of the CPU to `cpuid` and `xgetbv`.

use std::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};

/// Results of `cpuid` and `xgetbv`; 0 for a leaf that the CPU lacks.
#[derive(Clone, Copy)]
pub(super) struct Answers {
    pub(super) leaf_1: CpuidResult,
    pub(super) leaf_7: CpuidResult,
    pub(super) leaf_7_1: CpuidResult,
    /// Tiles: the number of palettes.
    pub(super) leaf_1d: CpuidResult,
    /// Tiles: the geometry of palette 1.
    pub(super) leaf_1d_1: CpuidResult,
    /// The tiles' multiplier.
    pub(super) leaf_1e: CpuidResult,
    /// Bit mask of the registers that the operating system saves.
    pub(super) xcr0: u64,
}

impl Answers {
    pub(super) const NONE: Self = {
        const ZERO: CpuidResult = CpuidResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        };
        Self {
            leaf_1: ZERO,
            leaf_7: ZERO,
            leaf_7_1: ZERO,
            leaf_1d: ZERO,
            leaf_1d_1: ZERO,
            leaf_1e: ZERO,
            xcr0: 0,
        }
    };

    pub(super) fn of_this_cpu() -> Self {
        let highest = cpuid(0, 0).eax;
        // For a leaf beyond the highest, Intel's CPUs return the data of the highest.
        let leaf = |leaf, subleaf| {
            if leaf <= highest {
                cpuid(leaf, subleaf)
            } else {
                Self::NONE.leaf_1
            }
        };
        let (leaf_1, leaf_7, leaf_1d) = (leaf(1, 0), leaf(7, 0), leaf(0x1D, 0));
        Self {
            leaf_1,
            leaf_7,
            leaf_7_1: if leaf_7.eax >= 1 {
                leaf(7, 1)
            } else {
                Self::NONE.leaf_7_1
            },
            leaf_1d,
            leaf_1d_1: if leaf_1d.eax >= 1 {
                leaf(0x1D, 1)
            } else {
                Self::NONE.leaf_1d_1
            },
            leaf_1e: leaf(0x1E, 0),
            xcr0: xcr0(leaf_1.ecx),
        }
    }
}

#[allow(unused_unsafe, reason = "a safe function in newer Rust")]
fn cpuid(leaf: u32, subleaf: u32) -> CpuidResult {
    // SAFETY: every x86-64 CPU has this instruction.
    unsafe { __cpuid_count(leaf, subleaf) }
}

/// Bit mask of the registers that the operating system saves; 0 without OSXSAVE in leaf 1's `ecx`.
fn xcr0(leaf_1_ecx: u32) -> u64 {
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: register 0 exists wherever `xgetbv` does.
        unsafe { _xgetbv(0) }
    }
    if leaf_1_ecx >> 27 & 1 == 0 {
        return 0;
    }
    // SAFETY: OSXSAVE says that the CPU has XSAVE's instructions and the operating system enabled
    // them.
    unsafe { read() }
}
