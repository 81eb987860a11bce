//! Decodes VEX-encoded instructions with three-byte prefixes, in 64-bit mode: the part of Intel's
//! manual, volume 2, chapter 2, that this emulator needs.

/// An instruction with a three-byte VEX prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Instruction {
    /// `mmmmm`: 2 is the opcode map 0F 38.
    pub(crate) map: u8,
    pub(crate) opcode: u8,
    /// `pp`: 0 none, 1 for 66, 2 for F3, 3 for F2.
    pub(crate) prefix: u8,
    pub(crate) w: bool,
    /// 256 bits rather than 128.
    pub(crate) l: bool,
    /// Register operands, 0 to 15.
    pub(crate) reg: u8,
    pub(crate) vvvv: u8,
    pub(crate) rm: Operand,
    /// Bytes of the whole instruction.
    pub(crate) len: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operand {
    Register(u8),
    Memory(Address),
}

/// `base + index * scale + displacement`; registers are numbered 0 to 15 as encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Address {
    pub(crate) base: Base,
    pub(crate) index: Option<u8>,
    pub(crate) scale: u8,
    pub(crate) displacement: i32,
    /// Whether there was a SIB byte, which tile loads and stores must have.
    pub(crate) has_sib: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Base {
    None,
    Register(u8),
    /// The address of the next instruction.
    NextInstruction,
}

impl Address {
    /// The address without its index, which is the stride of tile loads and stores.
    pub(crate) fn without_index(&self, register: impl Fn(u8) -> u64, next: u64) -> u64 {
        let base = match self.base {
            Base::None => 0,
            Base::Register(base) => register(base),
            Base::NextInstruction => next,
        };
        base.wrapping_add_signed(i64::from(self.displacement))
    }

    /// The scaled index; 0 where there is none.
    pub(crate) fn scaled_index(&self, register: impl Fn(u8) -> u64) -> u64 {
        self.index.map_or(0, |index| {
            register(index).wrapping_mul(u64::from(self.scale))
        })
    }
}

/// Decodes one instruction; `None` if it is of another encoding. `next` returns its bytes, one
/// after another, and is not called beyond the end of the instruction.
pub(crate) fn decode(mut next: impl FnMut() -> u8) -> Option<Instruction> {
    let mut len = 0;
    let mut byte = || {
        len += 1;
        next()
    };
    if byte() != 0xC4 {
        return None;
    }
    // R, X, B and vvvv are stored inverted.
    let (first, second) = (byte(), byte());
    let extended = |bit: u8| ((first >> bit & 1) ^ 1) << 3;
    let (r, x, b) = (extended(7), extended(6), extended(5));
    let opcode = byte();
    let modrm = byte();
    let (mode, reg, rm) = (modrm >> 6, modrm >> 3 & 7, modrm & 7);
    let rm = match mode {
        3 => Operand::Register(b | rm),
        _ => Operand::Memory(address(&mut byte, mode, rm, x, b)),
    };
    Some(Instruction {
        map: first & 0x1F,
        opcode,
        prefix: second & 3,
        w: second >> 7 == 1,
        l: second >> 2 & 1 == 1,
        reg: r | reg,
        vvvv: !second >> 3 & 15,
        rm,
        len,
    })
}

fn address(byte: &mut impl FnMut() -> u8, mode: u8, rm: u8, x: u8, b: u8) -> Address {
    let has_sib = rm == 4;
    let (mut base, mut index, mut scale) = (Base::Register(b | rm), None, 1);
    // No register, but 32 bits of displacement, which mode 0 otherwise lacks.
    let mut no_base = mode == 0 && rm == 5;
    if no_base {
        base = Base::NextInstruction;
    }
    if has_sib {
        let sib = byte();
        scale = 1 << (sib >> 6);
        // Index 4 means no index; 12 is an ordinary index.
        index = Some(x | sib >> 3 & 7).filter(|&index| index != 4);
        no_base = mode == 0 && sib & 7 == 5;
        base = if no_base {
            Base::None
        } else {
            Base::Register(b | sib & 7)
        };
    }
    let displacement = match mode {
        1 => i32::from(byte() as i8),
        2 => i32::from_le_bytes([byte(), byte(), byte(), byte()]),
        _ if no_base => i32::from_le_bytes([byte(), byte(), byte(), byte()]),
        _ => 0,
    };
    Address {
        base,
        index,
        scale,
        displacement,
        has_sib,
    }
}
