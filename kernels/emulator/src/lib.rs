//! Runs the machine code of the tiers `avx_vnni` and `amx_int8` on CPUs that lack their
//! instructions, so that the tests can hold it against the reference. For tests only: an
//! instruction takes microseconds.
//!
//! A CPU raises a fault at an instruction that it does not know, which Linux hands to the process
//! as `SIGILL`. The handler here decodes the instruction, does in plain scalar code what Intel's
//! manual (Software Developer's Manual, volume 2) says that it does, and lets the program go on
//! behind it. Anything else dies of the signal, as it would have. A CPU that has the instructions
//! never comes here.
//!
//! * `decode.rs`: VEX encodings, and the memory operands' addresses.
//! * `tiles.rs`: the tile registers and AMX's instructions.
//! * `vnni.rs`: dot products in YMM registers.
//! * `signal.rs`: the handler; general registers and YMM registers in the signal's frame.
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

/// From now on `avx_vnni` and `amx_int8` are available in this process, emulated where the CPU
/// lacks them. Returns those that are emulated: none where the CPU has both, where it lacks what
/// these tiers borrow from `avx2` and `avx512_vnni`, and on anything but x86-64 Linux. Of what is
/// left out it says on standard error that it is, and why.
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
        // Its faults would be the permission's, with half of the instructions running.
        eprintln!("{isa}: SKIPPED, the CPU has tiles, but the operating system refuses them");
        return false;
    }
    if signal::cpu_is_qemu() {
        eprintln!("{isa}: SKIPPED, QEMU is not up to the signals that it takes");
        return false;
    }
    signal::install();
    // SAFETY: the CPU has the tier's base; what it lacks beyond raises a fault, and the handler
    // above does what the instructions would have done.
    unsafe { Kernels::assume_available(isa) };
    true
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn emulate(isa: Isa) -> bool {
    eprintln!("{isa}: SKIPPED, only emulated on x86-64 Linux");
    false
}
