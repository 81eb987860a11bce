//! A loop of products in tile registers, for measuring.

use std::arch::asm;

use super::tiles::{ROW_BYTES, ROWS, Sums, Tiles};

/// Multiply-adds of a round: four products of 16 x 64 by 64 x 16. Each has its own sums, as in the
/// kernel, so that they hide each other's latency.
pub(crate) const MULTIPLY_ADDS: u64 = 4 * 16 * 64 * 16;

/// Multiplies tiles full of threes `rounds` times; returns one of the sums.
///
/// # Safety
/// The CPU must have the tier's features and the process the permission to use tiles. `rounds` is
/// not 0.
pub(crate) unsafe fn tdpbusd(rounds: u64) -> u32 {
    let threes = [[3_u8; ROW_BYTES]; ROWS];
    let mut sums = Sums::ZERO;
    // SAFETY: tiles may be used (this function's contract), and nothing else uses any here.
    let tiles = unsafe { Tiles::configure(2 * ROWS) };
    // SAFETY: the registers are configured as 16 rows of 64 bytes: the loads read the 1024 bytes of
    // `threes`, the store writes the first 1024 of `sums`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "tileloadd tmm4, [{threes} + {line}]",
            "tileloadd tmm5, [{threes} + {line}]",
            "tileloadd tmm6, [{threes} + {line}]",
            "tileloadd tmm7, [{threes} + {line}]",
            "2:",
            "tdpbusd tmm0, tmm4, tmm6",
            "tdpbusd tmm1, tmm4, tmm7",
            "tdpbusd tmm2, tmm5, tmm6",
            "tdpbusd tmm3, tmm5, tmm7",
            "dec {rounds}",
            "jnz 2b",
            "tilestored [{sums} + {line}], tmm0",
            rounds = inout(reg) rounds => _,
            threes = in(reg) &threes,
            line = in(reg) ROW_BYTES,
            sums = in(reg) &mut sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack)
        );
    }
    drop(tiles);
    sums.0[0][0][0].cast_unsigned()
}
