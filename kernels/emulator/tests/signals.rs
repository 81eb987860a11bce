//! An instruction that is not emulated, or that the CPU would refuse, still ends the program.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::arch::asm;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use lanerank_emulator::emulate_missing_tiers;
use lanerank_kernels::Isa;

const VARIABLE: &str = "LANERANK_EMULATOR_TEST_DIES_OF";

/// Runs this test again in a process that must die.
fn dies_of(what: &str) -> (Option<i32>, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "illegal_instructions", "--nocapture"])
        .env(VARIABLE, what)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.signal(), message)
}

fn die_of(what: &str) {
    emulate_missing_tiers();
    // SAFETY: each of these only ends the process.
    unsafe {
        match what {
            "ud2" => asm!("ud2"),
            "no configuration" => asm!("tilezero tmm0", out("tmm0") _),
            _ => unreachable!(),
        }
    }
}

#[test]
fn illegal_instructions() {
    if let Ok(what) = std::env::var(VARIABLE) {
        return die_of(&what);
    }
    let emulated = emulate_missing_tiers();
    if emulated.is_empty() {
        return eprintln!("SKIPPED: nothing is emulated here");
    }
    let (signal, message) = dies_of("ud2");
    assert_eq!(signal, Some(libc::SIGILL), "{message}");
    assert!(message.contains("not emulated"), "{message}");
    if emulated.contains(&Isa::AmxInt8) {
        let (signal, message) = dies_of("no configuration");
        assert_eq!(signal, Some(libc::SIGILL), "{message}");
        assert!(message.contains("not configured"), "{message}");
    }
}
