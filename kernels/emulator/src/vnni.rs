//! AVX-VNNI on YMM registers: VEX.256.66.0F38.W0 50 to 53, dot products within 32-bit lanes.

use crate::decode::Instruction;

/// A YMM register.
pub(crate) type Ymm = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dot {
    /// Products of pairs of signed words, not of groups of four bytes (unsigned by signed).
    words: bool,
    saturate: bool,
}

impl Dot {
    pub(crate) fn of(x: &Instruction) -> Option<Self> {
        if (x.map, x.prefix, x.w, x.l) != (2, 1, false, true) || !(0x50..=0x53).contains(&x.opcode)
        {
            return None;
        }
        Some(Self {
            words: x.opcode & 2 != 0,
            saturate: x.opcode & 1 != 0,
        })
    }

    /// The new `sum`: each lane plus the products of the parts of `a`'s and `b`'s lane.
    pub(crate) fn add(self, sum: Ymm, a: Ymm, b: Ymm) -> Ymm {
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
            let new = if self.saturate {
                exact.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
            } else {
                exact as i32
            };
            result[4 * lane..][..4].copy_from_slice(&new.to_le_bytes());
        }
        result
    }
}
