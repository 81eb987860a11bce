//! The features of the CPU and the operating system. `cpuid.rs` has the raw answers, which are read
//! here, so that the reading can be tested on the answers of other machines.

mod cpuid;
mod permission;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use cpuid::Answers;
pub(super) use permission::tile_permission;

/// Usable instruction sets: the CPU has them, and the operating system saves their registers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Features {
    avx2: bool,
    fma: bool,
    f16c: bool,
    avx_vnni: bool,
    avx512f: bool,
    avx512bw: bool,
    avx512vl: bool,
    avx512dq: bool,
    avx512vnni: bool,
    /// Tiles of the geometry that the kernels use, and products of bytes in tiles.
    amx_int8: bool,
}

/// Whether bit `n` of a register is set.
fn bit(register: u32, n: u32) -> bool {
    register >> n & 1 == 1
}

impl Features {
    /// This machine's features. The CPU is asked once.
    pub(super) fn detect() -> Self {
        static FEATURES: OnceLock<Features> = OnceLock::new();
        *FEATURES.get_or_init(|| Self::new(&Answers::of_this_cpu()))
    }

    /// Reads a CPU's answers (Intel's manual, volume 2, CPUID).
    fn new(cpu: &Answers) -> Self {
        let saves = |registers: u64| cpu.xcr0 & registers == registers;
        // AVX: XMM and YMM. AVX-512: also masks, the upper halves of ZMM, and ZMM16 to 31. Tiles:
        // their shapes and data.
        let avx = saves(0b110) && bit(cpu.leaf_1.ecx, 28);
        let avx512 = avx && saves(0b1110_0110) && bit(cpu.leaf_7.ebx, 16);
        let tiles = saves(0b11 << 17) && bit(cpu.leaf_7.edx, 24) && has_tile_geometry(cpu);
        Self {
            avx2: avx && bit(cpu.leaf_7.ebx, 5),
            fma: avx && bit(cpu.leaf_1.ecx, 12),
            f16c: avx && bit(cpu.leaf_1.ecx, 29),
            avx_vnni: avx && bit(cpu.leaf_7_1.eax, 4),
            avx512f: avx512,
            avx512bw: avx512 && bit(cpu.leaf_7.ebx, 30),
            avx512vl: avx512 && bit(cpu.leaf_7.ebx, 31),
            avx512dq: avx512 && bit(cpu.leaf_7.ebx, 17),
            avx512vnni: avx512 && bit(cpu.leaf_7.ecx, 11),
            amx_int8: tiles && bit(cpu.leaf_7.edx, 25),
        }
    }

    /// Whether the functions compiled for `avx2,fma,f16c` can run.
    pub(super) fn run_avx2(self) -> bool {
        self.avx2 && self.fma && self.f16c
    }

    /// Whether the functions compiled for `avx2,fma,f16c,avxvnni` can run.
    pub(super) fn run_avx_vnni(self) -> bool {
        self.run_avx2() && self.avx_vnni
    }

    /// Whether the functions compiled for
    /// `avx512f,avx512bw,avx512vl,avx512dq,avx512vnni` can run. To the compiler, those imply the
    /// AVX2 tier's features.
    pub(super) fn run_avx512_vnni(self) -> bool {
        let avx512 = self.avx512f && self.avx512bw && self.avx512vl && self.avx512dq;
        self.run_avx2() && avx512 && self.avx512vnni
    }

    /// Whether the functions of [`run_avx512_vnni`](Self::run_avx512_vnni) and tiles of bytes can
    /// run. The operating system is asked for permission last, and only if everything else is
    /// there, because the permission makes every signal's stack frame larger.
    pub(super) fn run_amx_int8(self, permission: impl FnOnce() -> bool) -> bool {
        self.run_avx512_vnni() && self.amx_int8 && permission()
    }
}

/// Whether palette 1 has 8 tiles of 16 rows of 64 bytes, and the multiplier takes whole tiles.
fn has_tile_geometry(cpu: &Answers) -> bool {
    let (tile, multiplier) = (cpu.leaf_1d_1, cpu.leaf_1e);
    let palettes = cpu.leaf_1d.eax;
    let (total_bytes, tile_bytes) = (tile.eax & 0xFFFF, tile.eax >> 16);
    let (row_bytes, tiles) = (tile.ebx & 0xFFFF, tile.ebx >> 16);
    let rows = tile.ecx & 0xFFFF;
    let (depth, columns) = (multiplier.ebx & 0xFF, multiplier.ebx >> 8 & 0xFFFF);
    palettes >= 1
        && (total_bytes, tile_bytes, row_bytes) == (8192, 1024, 64)
        && (tiles, rows) == (8, 16)
        && depth >= 16
        && columns >= 64
}
