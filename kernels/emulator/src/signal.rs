//! The handler of `SIGILL`, and the program's registers. They lie in the signal's frame on the
//! stack, and are restored from there when the handler returns.

use std::arch::x86_64::__cpuid_count;
use std::cell::UnsafeCell;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::decode::{Address, Instruction, Operand, decode};
use crate::tiles::{Fault, Operation, Tiles};
use crate::vnni::{Dot, Ymm};

/// Offsets of the upper halves of YMM and ZMM registers in the area that `xsave` writes.
static UPPER_YMM: AtomicUsize = AtomicUsize::new(0);
static UPPER_ZMM: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static TILES: UnsafeCell<Tiles> = const { UnsafeCell::new(Tiles::INITIAL) };
}

#[allow(unused_unsafe, reason = "a safe function in newer Rust")]
fn cpuid(leaf: u32, subleaf: u32) -> std::arch::x86_64::CpuidResult {
    // SAFETY: every x86-64 CPU has this instruction, and answers unknown leaves, too.
    unsafe { __cpuid_count(leaf, subleaf) }
}

/// Whether the CPU itself has AMX-TILE.
pub(crate) fn cpu_has_tiles() -> bool {
    cpuid(7, 0).edx >> 24 & 1 == 1
}

/// Whether this is QEMU without virtualisation, whose user mode (7.2) cannot deliver such signals.
pub(crate) fn cpu_is_qemu() -> bool {
    let hypervisor = cpuid(0x4000_0000, 0);
    let name = [hypervisor.ebx, hypervisor.ecx, hypervisor.edx].map(u32::to_le_bytes);
    cpuid(1, 0).ecx >> 31 == 1 && name.as_flattened() == b"TCGTCGTCGTCG"
}

/// Handles `SIGILL` in this process from now on. The CPU has AVX.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        UPPER_YMM.store(cpuid(0xD, 2).ebx as usize, Ordering::Relaxed);
        UPPER_ZMM.store(cpuid(0xD, 6).ebx as usize, Ordering::Relaxed);
        // SAFETY: zeros are a valid `sigaction`: no flags, an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_flags = libc::SA_SIGINFO;
        action.sa_sigaction = on_illegal_instruction as *const () as usize;
        // SAFETY: the handler has the type that SA_SIGINFO asks for. It allocates nothing and takes
        // no locks; it writes only just before the process ends.
        let result = unsafe { libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()) };
        assert_eq!(result, 0, "sigaction: {}", std::io::Error::last_os_error());
    });
}

extern "C" fn on_illegal_instruction(
    _signal: libc::c_int,
    _info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes the frame's context, which nothing else uses meanwhile.
    let mut cpu = Cpu(unsafe { &mut *context.cast() });
    let mut emulated = 0;
    // The next instructions may need emulation as well: do them without another signal.
    loop {
        let at = cpu.register(RIP) as *const u8;
        let mut read = 0;
        let instruction = decode(|| {
            read += 1;
            // SAFETY: the CPU is about to run these bytes, and `decode` reads only one
            // instruction.
            unsafe { at.add(read - 1).read() }
        });
        match instruction.map_or(Ok(false), |instruction| cpu.run(&instruction)) {
            Ok(true) => emulated += 1,
            Ok(false) if emulated > 0 => return,
            Ok(false) => return die("an instruction that is not emulated"),
            Err(fault) => return die(fault),
        }
    }
}

/// Prints the reason, and lets the program run into the instruction again, without a handler.
fn die(why: &str) {
    for part in ["illegal instruction: ", why, "\n"] {
        // SAFETY: writes from a slice.
        unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: sets the default action.
    unsafe { libc::signal(libc::SIGILL, libc::SIG_DFL) };
}

/// The program's registers.
struct Cpu<'a>(&'a mut libc::ucontext_t);

/// The number of `rip` after the 16 that instructions encode.
const RIP: u8 = 16;

impl Cpu<'_> {
    fn register(&self, number: u8) -> u64 {
        const ORDER: [libc::c_int; 17] = [
            libc::REG_RAX,
            libc::REG_RCX,
            libc::REG_RDX,
            libc::REG_RBX,
            libc::REG_RSP,
            libc::REG_RBP,
            libc::REG_RSI,
            libc::REG_RDI,
            libc::REG_R8,
            libc::REG_R9,
            libc::REG_R10,
            libc::REG_R11,
            libc::REG_R12,
            libc::REG_R13,
            libc::REG_R14,
            libc::REG_R15,
            libc::REG_RIP,
        ];
        self.0.uc_mcontext.gregs[ORDER[usize::from(number)] as usize] as u64
    }

    /// Does what an instruction does, and steps over it; false if it is not emulated.
    fn run(&mut self, instruction: &Instruction) -> Result<bool, Fault> {
        if let Some(dot) = Dot::of(instruction) {
            self.dot(dot, instruction);
        } else if let Some(operation) = Operation::of(instruction) {
            self.tiles(operation, instruction)?;
        } else {
            return Ok(false);
        }
        self.0.uc_mcontext.gregs[libc::REG_RIP as usize] += i64::from(instruction.len);
        Ok(true)
    }

    fn address_without_index(&self, address: &Address, instruction: &Instruction) -> u64 {
        let next = self.register(RIP) + u64::from(instruction.len);
        address.without_index(|number| self.register(number), next)
    }

    /// The bytes at a memory operand.
    fn read<const N: usize>(&self, address: &Address, instruction: &Instruction) -> [u8; N] {
        let index = address.scaled_index(|number| self.register(number));
        let at = self
            .address_without_index(address, instruction)
            .wrapping_add(index);
        // SAFETY: the program reads these bytes by this instruction; if it may not, it gets the
        // fault here.
        unsafe { (at as *const [u8; N]).read_unaligned() }
    }

    fn dot(&mut self, dot: Dot, instruction: &Instruction) {
        let b = match &instruction.rm {
            Operand::Register(number) => self.ymm(*number),
            Operand::Memory(address) => self.read(address, instruction),
        };
        let sum = dot.add(self.ymm(instruction.reg), self.ymm(instruction.vvvv), b);
        self.set_ymm(instruction.reg, sum);
    }

    fn tiles(&mut self, operation: Operation, instruction: &Instruction) -> Result<(), Fault> {
        let (at, stride) = match &instruction.rm {
            Operand::Memory(address) => (
                self.address_without_index(address, instruction),
                address.scaled_index(|number| self.register(number)),
            ),
            Operand::Register(_) => (0, 0),
        };
        let row_at = |row: usize| at.wrapping_add(stride.wrapping_mul(row as u64));
        TILES.with(|tiles| {
            // SAFETY: only the handler uses this thread's tiles, and it does not interrupt
            // itself.
            let tiles = unsafe { &mut *tiles.get() };
            match operation {
                Operation::Release => tiles.release(),
                // SAFETY: as for `read`; a configuration is 64 bytes.
                Operation::LoadConfig => {
                    let Operand::Memory(address) = &instruction.rm else {
                        return Err("no memory operand");
                    };
                    tiles.load_config(&self.read(address, instruction))?;
                }
                Operation::Zero { tile } => tiles.zero(tile)?,
                Operation::Load { tile } => tiles.load(tile, |row, to| {
                    // SAFETY: the program reads these bytes by this instruction.
                    unsafe {
                        (row_at(row) as *const u8).copy_to_nonoverlapping(to.as_mut_ptr(), to.len())
                    }
                })?,
                Operation::Store { tile } => tiles.store(tile, |row, from| {
                    // SAFETY: the program writes these bytes by this instruction.
                    unsafe {
                        (row_at(row) as *mut u8).copy_from_nonoverlapping(from.as_ptr(), from.len())
                    }
                })?,
                Operation::Dot { sum, a, b, signed } => tiles.dot(sum, a, b, signed)?,
            }
            Ok(())
        })
    }
}

/// Bits of the components in an `xsave` area.
const SSE: u64 = 1 << 1;
const YMM: u64 = 1 << 2;
const ZMM: u64 = 1 << 6;

impl Cpu<'_> {
    /// The bytes of the frame's `xsave` area from `offset` on (manual, volume 1, 13.4).
    fn area(&mut self, offset: usize) -> *mut u8 {
        // SAFETY: with AVX the area is in the frame, and every offset used here is in the area.
        unsafe { self.0.uc_mcontext.fpregs.cast::<u8>().add(offset) }
    }

    /// XSTATE_BV: which components are not in their initial state (all zeros).
    fn components(&mut self) -> *mut u64 {
        self.area(512).cast()
    }

    fn lower(&mut self, number: u8) -> *mut [u8; 16] {
        self.area(160 + 16 * usize::from(number)).cast()
    }

    fn upper(&mut self, number: u8) -> *mut [u8; 16] {
        let offset = UPPER_YMM.load(Ordering::Relaxed);
        self.area(offset + 16 * usize::from(number)).cast()
    }

    fn ymm(&mut self, number: u8) -> Ymm {
        let (lower, upper) = (self.lower(number), self.upper(number));
        // SAFETY: parts of the area.
        unsafe {
            let components = *self.components();
            let part = |at: *mut [u8; 16], component: u64| match components & component {
                0 => [0; 16],
                _ => *at,
            };
            let (lower, upper) = (part(lower, SSE), part(upper, YMM));
            std::array::from_fn(|i| if i < 16 { lower[i] } else { upper[i - 16] })
        }
    }

    /// Sets a register like VEX-encoded instructions, with zeros in the rest of the ZMM register.
    fn set_ymm(&mut self, number: u8, x: Ymm) {
        let (lower, upper) = (self.lower(number), self.upper(number));
        let (first_lower, first_upper) = (self.lower(0), self.upper(0));
        let components = self.components();
        let zmm = UPPER_ZMM.load(Ordering::Relaxed) + 32 * usize::from(number);
        let zmm: *mut [u8; 32] = self.area(zmm).cast();
        let (halves, _) = x.as_chunks::<16>();
        // SAFETY: these are parts of the area; the ZMM part exists if its bit is set.
        unsafe {
            // A component in its initial state is restored from memory from now on.
            if *components & SSE == 0 {
                first_lower.write_bytes(0, 16);
            }
            if *components & YMM == 0 {
                first_upper.write_bytes(0, 16);
            }
            (*lower, *upper) = (halves[0], halves[1]);
            if *components & ZMM != 0 {
                *zmm = [0; 32];
            }
            *components |= SSE | YMM;
        }
    }
}
