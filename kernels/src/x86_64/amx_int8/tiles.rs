//! The tile registers: their configuration, and the loop over the depth.
//!
//! Within a block, registers 0 to 3 are the sums of row tiles 0 and 1 with panels 0 and 1 (row tile
//! first), 4 and 5 the row tiles, 6 and 7 the panels. Their data lives within one `asm!` block.
//! Only the configuration lives between blocks, and nothing else changes it.

use std::arch::asm;

use crate::layout::PANEL;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Bytes of a tile's row.
pub(super) const ROW_BYTES: usize = 64;

/// Sums of up to 2 row tiles with up to 2 panels: `[2 * r + p]` is row tile `r` with panel `p`.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Sums(pub [[[i32; PANEL]; ROWS]; 4]);

impl Sums {
    pub(super) const ZERO: Self = Self([[[0; PANEL]; ROWS]; 4]);
}

/// The operand of `ldtilecfg`.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tile registers, configured; released when this is dropped.
pub(super) struct Tiles {
    /// Rows of each row tile; the second may have none.
    rows: [usize; 2],
}

impl Tiles {
    /// Configures the registers for blocks of `rows` rows, 1 to 32.
    ///
    /// # Safety
    /// The CPU has AMX-TILE with palette 1 as `features` checks it, and the operating system lets
    /// this process use it. There is no other `Tiles` in this thread.
    pub(super) unsafe fn configure(rows: usize) -> Self {
        let rows = [rows.min(ROWS), rows.saturating_sub(ROWS).min(ROWS)];
        let mut config = Config {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        for (tile, rows) in [
            (0, rows[0]),
            (1, rows[0]),
            (2, rows[1]),
            (3, rows[1]),
            (4, rows[0]),
            (5, rows[1]),
            (6, ROWS),
            (7, ROWS),
        ] {
            // An unused tile has neither rows nor bytes.
            config.rows[tile] = rows as u8;
            config.row_bytes[tile] = if rows == 0 { 0 } else { ROW_BYTES as u16 };
        }
        // SAFETY: the instruction exists (this function's contract). It reads the 64 bytes of
        // `Config`, whose shapes palette 1 has.
        unsafe {
            asm!(
                "ldtilecfg [{config}]",
                config = in(reg) &config,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack, readonly, preserves_flags)
            );
        }
        Self { rows }
    }

    /// Products of the configured input rows with the panels. `a` begins with the first row. Rows
    /// are `stride` bytes, a multiple of 64; a panel is 16 times as many.
    ///
    /// # Panics
    /// If a slice is shorter than that.
    #[inline(always)]
    pub(super) fn multiply<const P: usize>(
        &self,
        a: &[u8],
        stride: usize,
        panels: [&[i8]; P],
        sums: &mut Sums,
    ) {
        let steps = stride / ROW_BYTES;
        assert!(
            stride.is_multiple_of(ROW_BYTES) && a.len() >= (self.rows[0] + self.rows[1]) * stride
        );
        assert!(panels.iter().all(|panel| panel.len() >= stride * PANEL));
        if steps == 0 {
            *sums = Sums::ZERO;
            return;
        }
        // An unused second pointer may equal the first.
        let second_rows = if self.rows[1] == 0 { 0 } else { ROWS * stride };
        let operands = Operands {
            rows: [a.as_ptr(), a[second_rows..].as_ptr()],
            stride,
            panels: [panels[0].as_ptr(), panels[P - 1].as_ptr()],
            steps,
            sums,
        };
        // SAFETY: the lengths of rows and panels were checked above, `steps` is not 0, and the
        // second row tile is used only if it has rows.
        unsafe {
            match (self.rows[1], P) {
                (0, 1) => operands.multiply_1x1(),
                (0, _) => operands.multiply_1x2(),
                (_, 1) => operands.multiply_2x1(),
                (..) => operands.multiply_2x2(),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: `configure`, which made this value, ran an AMX instruction: this one exists, too.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nomem, nostack, preserves_flags)
            );
        }
    }
}

/// Addresses of a block's operands.
struct Operands<'a> {
    rows: [*const u8; 2],
    stride: usize,
    panels: [*const i8; 2],
    /// Tiles along the depth, at least 1.
    steps: usize,
    sums: &'a mut Sums,
}

/// A block's loop over the depth. A step is 64 bytes of the rows, 1024 of the panels.
macro_rules! multiply {
    ($name:ident: [$($zero:literal),*], [$($step:literal),*], [$($store:literal),*]) => {
        /// # Safety
        /// The registers used are configured. Rows and panels are as long as the registers and
        /// `steps` ask for.
        #[inline(always)]
        unsafe fn $name(self) {
            // SAFETY: loads stay within rows and panels (this function's contract); the stores
            // are 1024 bytes each into the four parts of `sums`.
            unsafe {
                asm!(
                    $(concat!("tilezero ", $zero),)*
                    "2:",
                    $($step,)*
                    "add {a0}, 64",
                    "add {a1}, 64",
                    "add {b0}, 1024",
                    "add {b1}, 1024",
                    "dec {steps}",
                    "jnz 2b",
                    $($store,)*
                    a0 = inout(reg) self.rows[0] => _,
                    a1 = inout(reg) self.rows[1] => _,
                    stride = in(reg) self.stride,
                    b0 = inout(reg) self.panels[0] => _,
                    b1 = inout(reg) self.panels[1] => _,
                    line = in(reg) ROW_BYTES,
                    steps = inout(reg) self.steps => _,
                    sums = in(reg) self.sums,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }
    };
}

impl Operands<'_> {
    multiply!(multiply_2x2:
    ["tmm0", "tmm1", "tmm2", "tmm3"],
    [
        "tileloadd tmm6, [{b0} + {line}]",
        "tileloadd tmm4, [{a0} + {stride}]",
        "tdpbusd tmm0, tmm4, tmm6",
        "tileloadd tmm7, [{b1} + {line}]",
        "tdpbusd tmm1, tmm4, tmm7",
        "tileloadd tmm5, [{a1} + {stride}]",
        "tdpbusd tmm2, tmm5, tmm6",
        "tdpbusd tmm3, tmm5, tmm7"
    ],
    [
        "tilestored [{sums} + {line}], tmm0",
        "tilestored [{sums} + {line} + 1024], tmm1",
        "tilestored [{sums} + {line} + 2048], tmm2",
        "tilestored [{sums} + {line} + 3072], tmm3"
    ]);

    multiply!(multiply_2x1:
    ["tmm0", "tmm2"],
    [
        "tileloadd tmm6, [{b0} + {line}]",
        "tileloadd tmm4, [{a0} + {stride}]",
        "tdpbusd tmm0, tmm4, tmm6",
        "tileloadd tmm5, [{a1} + {stride}]",
        "tdpbusd tmm2, tmm5, tmm6"
    ],
    [
        "tilestored [{sums} + {line}], tmm0",
        "tilestored [{sums} + {line} + 2048], tmm2"
    ]);

    multiply!(multiply_1x2:
    ["tmm0", "tmm1"],
    [
        "tileloadd tmm4, [{a0} + {stride}]",
        "tileloadd tmm6, [{b0} + {line}]",
        "tdpbusd tmm0, tmm4, tmm6",
        "tileloadd tmm7, [{b1} + {line}]",
        "tdpbusd tmm1, tmm4, tmm7"
    ],
    [
        "tilestored [{sums} + {line}], tmm0",
        "tilestored [{sums} + {line} + 1024], tmm1"
    ]);

    multiply!(multiply_1x1:
        ["tmm0"],
        [
            "tileloadd tmm4, [{a0} + {stride}]",
            "tileloadd tmm6, [{b0} + {line}]",
            "tdpbusd tmm0, tmm4, tmm6"
        ],
        ["tilestored [{sums} + {line}], tmm0"]);
}
