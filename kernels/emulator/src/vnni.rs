//! AVX-VNNI on YMM registers: VEX.256.66.0F38.W0 50 to 53, dot products within 32-bit lanes.

use crate::decode::Instruction;

/// A YMM register.
pub type Ymm = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// Pairs of signed words rather than groups of four bytes, unsigned by signed.
    words: bool,
    saturate: bool,
}

impl Dot {
    pub fn of(x: &Instruction) -> Option<Self> {
        if (x.map, x.prefix, x.w, x.l) != (2, 1, false, true) || !(0x50..=0x53).contains(&x.opcode)
        {
            return None;
        }
        Some(Self {
            words: x.opcode & 2 != 0,
            saturate: x.opcode & 1 != 0,
        })
    }

    /// What `sum` becomes: each lane plus the products of `a`'s and `b`'s parts of it.
    pub fn add(self, sum: Ymm, a: Ymm, b: Ymm) -> Ymm {
        let mut result = [0; 32];
        for lane in 0..8 {
            let four = |x: &Ymm| -> [u8; 4] { std::array::from_fn(|i| x[4 * lane + i]) };
            let (a, b) = (four(&a), four(&b));
            let words = |x: [u8; 4]| {
                [
                    i16::from_le_bytes([x[0], x[1]]),
                    i16::from_le_bytes([x[2], x[3]]),
                ]
                .map(i64::from)
            };
            let products: i64 = if self.words {
                (0..2).map(|i| words(a)[i] * words(b)[i]).sum()
            } else {
                (0..4)
                    .map(|i| i64::from(a[i]) * i64::from(b[i] as i8))
                    .sum()
            };
            let exact = i64::from(i32::from_le_bytes(four(&sum))) + products;
            let new = match self.saturate {
                true => exact.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
                false => exact as i32,
            };
            result[4 * lane..][..4].copy_from_slice(&new.to_le_bytes());
        }
        result
    }
}
