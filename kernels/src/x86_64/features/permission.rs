//! Permission to use tiles. Tile data is large, so Linux saves it only for processes that asked
//! (since 5.16, Documentation/arch/x86/xstate.rst). Other systems are not supported.

use std::sync::OnceLock;

/// Whether this process may use tile data. Asked once; the answer holds for all its threads.
pub(in crate::x86_64) fn tile_permission() -> bool {
    static PERMISSION: OnceLock<bool> = OnceLock::new();
    *PERMISSION.get_or_init(request)
}

/// Asks Linux. It refuses if it is older (`EINVAL`), in sandboxes (any error), and if a thread's
/// alternate signal stack is too small for the larger frames (`ENOSPC`).
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn request() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XTILEDATA: usize = 18;

    let result: isize;
    // SAFETY: `arch_prctl` with this request neither reads nor writes the process's memory. The
    // registers that a system call changes are declared.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack)
        );
    }
    result == 0
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn request() -> bool {
    false
}
