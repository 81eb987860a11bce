//! Runs the machine code of the tiers `avx_vnni` and `amx_int8` on CPUs that lack the instructions,
//! so that the tests can compare it with the reference. For tests only: an instruction takes
//! microseconds.
//!
//! A CPU raises a fault at an unknown instruction, and Linux sends the process `SIGILL`. The
//! handler here decodes the instruction, does in scalar code what Intel's manual (Software
//! Developer's Manual, volume 2) says, and resumes the program after the instruction. Any other
//! unknown instruction kills the process, as it would without the handler. A CPU that has the
//! instructions never calls the handler.
//!
//! * `decode.rs`: VEX encodings, and the addresses of memory operands.
//! * `tiles.rs`: the tile registers and AMX's instructions.
//! * `vnni.rs`: dot products in YMM registers.
//! * `signal.rs`: the handler, and the general and YMM registers in the signal's frame.
#![cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    allow(unused, reason = "nothing to emulate there")
)]

use std::sync::OnceLock;

use lanerank_kernels::{Isa, Kernels};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod decode;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod signal;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod vnni;

/// Makes `avx_vnni` and `amx_int8` available in this process, emulated where the CPU lacks them.
/// Returns the emulated tiers.
///
/// A tier is skipped if the CPU lacks the tier below it, `avx2` or `avx512_vnni`, and on anything
/// but x86-64 Linux; a line on standard error then says why.
pub fn emulate_missing_tiers() -> &'static [Isa] {
    static EMULATED: OnceLock<Vec<Isa>> = OnceLock::new();
    EMULATED.get_or_init(|| {
        let wanted = [(Isa::AvxVnni, Isa::Avx2), (Isa::AmxInt8, Isa::Avx512Vnni)];
        let missing = wanted.into_iter().filter(|&(isa, base)| {
            let lacks_base = Kernels::for_isa(base).is_err();
            if lacks_base {
                eprintln!("{isa}: SKIPPED, the CPU lacks {base}, on which it builds");
            }
            !lacks_base && Kernels::for_isa(isa).is_err()
        });
        missing
            .map(|(isa, _)| isa)
            .filter(|&isa| emulate(isa))
            .collect()
    })
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn emulate(isa: Isa) -> bool {
    if isa == Isa::AmxInt8 && signal::cpu_has_tiles() {
        // Faults would come from the missing permission, and some instructions would run.
        eprintln!("{isa}: SKIPPED, the CPU has tiles, but the operating system refuses them");
        return false;
    }
    if signal::cpu_is_qemu() {
        eprintln!("{isa}: SKIPPED, QEMU cannot deliver the signals that emulation needs");
        return false;
    }
    signal::install();
    // SAFETY: the CPU has the tier below; each further instruction raises a fault, and the handler
    // does what the instruction would do.
    unsafe { Kernels::assume_available(isa) };
    true
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn emulate(isa: Isa) -> bool {
    eprintln!("{isa}: SKIPPED, only emulated on x86-64 Linux");
    false
}
