//! The tile registers of palette 1, and AMX's instructions (Intel's manual, volume 1, chapter 18,
//! and the instructions' pages in volume 2).

use crate::decode::{Instruction, Operand};

/// Rows of a tile.
const ROWS: usize = 16;
/// Bytes of a tile's row.
const ROW_BYTES: usize = 64;
const TILES: usize = 8;

/// Values of the prefix field.
const NONE: u8 = 0;
const P66: u8 = 1;
const F3: u8 = 2;
const F2: u8 = 3;

type Tile = [[u8; ROW_BYTES]; ROWS];

/// The state of one thread.
pub(crate) struct Tiles {
    configured: bool,
    rows: [usize; TILES],
    row_bytes: [usize; TILES],
    data: [Tile; TILES],
}

/// The reason for which the CPU would fault.
pub(crate) type Fault = &'static str;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operation {
    LoadConfig,
    Release,
    Zero {
        tile: u8,
    },
    Load {
        tile: u8,
    },
    Store {
        tile: u8,
    },
    Dot {
        sum: u8,
        a: u8,
        b: u8,
        signed: [bool; 2],
    },
}

impl Operation {
    /// The AMX instruction that this is, if any: all are VEX.128 in map 0F 38 with W0.
    pub(crate) fn of(x: &Instruction) -> Option<Self> {
        if x.map != 2 || x.w || x.l {
            return None;
        }
        let unused = x.vvvv == 0;
        match (x.opcode, x.prefix, x.rm) {
            (0x49, NONE, Operand::Memory(_)) if unused && x.reg == 0 => Some(Self::LoadConfig),
            (0x49, NONE, Operand::Register(0)) if unused && x.reg == 0 => Some(Self::Release),
            (0x49, F2, Operand::Register(0)) if unused => Some(Self::Zero { tile: x.reg }),
            // Prefix 66 is a hint that the data is not needed again soon.
            (0x4B, F2 | P66, Operand::Memory(at)) if unused && at.has_sib => {
                Some(Self::Load { tile: x.reg })
            }
            (0x4B, F3, Operand::Memory(at)) if unused && at.has_sib => {
                Some(Self::Store { tile: x.reg })
            }
            (0x5E, prefix, Operand::Register(a)) => Some(Self::Dot {
                sum: x.reg,
                a,
                b: x.vvvv,
                signed: [prefix == F2 || prefix == F3, prefix == F2 || prefix == P66],
            }),
            _ => None,
        }
    }
}

impl Tiles {
    pub(crate) const INITIAL: Self = Self {
        configured: false,
        rows: [0; TILES],
        row_bytes: [0; TILES],
        data: [[[0; ROW_BYTES]; ROWS]; TILES],
    };

    pub(crate) fn release(&mut self) {
        *self = Self::INITIAL;
    }

    pub(crate) fn load_config(&mut self, config: &[u8; 64]) -> Result<(), Fault> {
        let (palette, start_row) = (config[0], config[1]);
        if palette == 0 {
            self.release();
            return Ok(());
        }
        let mut new = Self::INITIAL;
        if palette != 1 {
            return Err("a palette that does not exist");
        }
        if start_row != 0 || config[2..16].iter().any(|&byte| byte != 0) {
            // A start row resumes an interrupted tile load; here no load is interrupted.
            return Err("a start row, or something in reserved bytes");
        }
        for tile in 0..16 {
            let at = 16 + 2 * tile;
            let row_bytes = usize::from(u16::from_le_bytes([config[at], config[at + 1]]));
            let rows = usize::from(config[48 + tile]);
            if tile >= TILES {
                if (rows, row_bytes) != (0, 0) {
                    return Err("a shape for a tile that does not exist");
                }
                continue;
            }
            if rows > ROWS || row_bytes > ROW_BYTES || (rows == 0) != (row_bytes == 0) {
                return Err("a shape that a tile cannot have");
            }
            (new.rows[tile], new.row_bytes[tile]) = (rows, row_bytes);
        }
        new.configured = true;
        *self = new;
        Ok(())
    }

    /// A tile that has a shape.
    fn usable(&self, tile: u8) -> Result<usize, Fault> {
        let tile = usize::from(tile);
        if tile < TILES && self.configured && self.rows[tile] > 0 {
            Ok(tile)
        } else {
            Err("a tile that was not configured")
        }
    }

    pub(crate) fn zero(&mut self, tile: u8) -> Result<(), Fault> {
        let tile = self.usable(tile)?;
        self.data[tile] = [[0; ROW_BYTES]; ROWS];
        Ok(())
    }

    /// Loads rows from memory; the rest of the tile becomes 0. `read` fills bytes from row `i`.
    pub(crate) fn load(&mut self, tile: u8, read: impl Fn(usize, &mut [u8])) -> Result<(), Fault> {
        self.zero(tile)?;
        let tile = self.usable(tile)?;
        for row in 0..self.rows[tile] {
            read(row, &mut self.data[tile][row][..self.row_bytes[tile]]);
        }
        Ok(())
    }

    /// Stores rows to memory. `write` copies bytes to row `i`.
    pub(crate) fn store(&self, tile: u8, write: impl Fn(usize, &[u8])) -> Result<(), Fault> {
        let tile = self.usable(tile)?;
        for row in 0..self.rows[tile] {
            write(row, &self.data[tile][row][..self.row_bytes[tile]]);
        }
        Ok(())
    }

    /// Adds to each 32-bit element of `sum` the products of four bytes of `a`'s row with four bytes
    /// of `b`'s column, over `b`'s rows. `signed`: whether `a`'s and `b`'s bytes are signed.
    pub(crate) fn dot(&mut self, sum: u8, a: u8, b: u8, signed: [bool; 2]) -> Result<(), Fault> {
        let (sum, a, b) = (self.usable(sum)?, self.usable(a)?, self.usable(b)?);
        if sum == a || sum == b || a == b {
            return Err("one tile in two roles");
        }
        let (m, columns, k) = (self.rows[sum], self.row_bytes[sum], self.row_bytes[a]);
        if columns % 4 != 0 || k % 4 != 0 {
            return Err("rows that are not groups of four bytes");
        }
        if self.rows[a] != m || self.row_bytes[b] != columns || self.rows[b] != k / 4 {
            return Err("shapes that do not fit each other");
        }
        let widen = |byte: u8, signed: bool| {
            if signed {
                i32::from(byte as i8)
            } else {
                i32::from(byte)
            }
        };
        for row in 0..m {
            let mut new = [0; ROW_BYTES];
            for n in (0..columns).step_by(4) {
                let element = &self.data[sum][row][n..n + 4];
                let mut total = i32::from_le_bytes(element.try_into().expect("four bytes"));
                for group in 0..k / 4 {
                    for i in 0..4 {
                        let x = widen(self.data[a][row][4 * group + i], signed[0]);
                        let y = widen(self.data[b][group][n + i], signed[1]);
                        total = total.wrapping_add(x * y);
                    }
                }
                new[n..n + 4].copy_from_slice(&total.to_le_bytes());
            }
            self.data[sum][row] = new;
        }
        // Rows beyond the shape become 0.
        self.data[sum][m..].fill([0; ROW_BYTES]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl Fn(&mut [u8; 64])) -> [u8; 64] {
        let mut config = [0; 64];
        config[0] = 1;
        // Tiles 0 to 2: 3 rows of 8 bytes.
        for tile in 0..3 {
            (config[16 + 2 * tile], config[48 + tile]) = (8, 3);
        }
        change(&mut config);
        config
    }

    #[test]
    fn refused_configurations() {
        let mut tiles = Tiles::INITIAL;
        assert_eq!(tiles.load_config(&config(|_| ())), Ok(()));
        let refused: [fn(&mut [u8; 64]); 10] = [
            |x| x[0] = 2,
            |x| x[1] = 1,
            |x| x[2] = 1,
            |x| x[15] = 1,
            |x| x[16] = 65,
            |x| x[17] = 1,
            |x| x[48] = 17,
            |x| x[48] = 0,
            |x| x[16] = 0,
            |x| (x[32], x[56]) = (64, 16),
        ];
        for (i, change) in refused.into_iter().enumerate() {
            assert!(tiles.load_config(&config(change)).is_err(), "{i}");
        }
    }

    #[test]
    fn refused_products() {
        let shapes = |shapes: [(u8, u8); 3]| {
            config(|x| {
                for (tile, (rows, row_bytes)) in shapes.into_iter().enumerate() {
                    (x[48 + tile], x[16 + 2 * tile]) = (rows, row_bytes);
                }
            })
        };
        let mut tiles = Tiles::INITIAL;
        let mut dot = |x: &[u8; 64], [sum, a, b]: [u8; 3]| {
            tiles.load_config(x)?;
            tiles.dot(sum, a, b, [false, true])
        };
        let right = shapes([(3, 8), (3, 20), (5, 8)]);
        assert_eq!(dot(&right, [0, 1, 2]), Ok(()));
        assert!(dot(&right, [0, 1, 3]).is_err(), "a tile without a shape");
        assert!(
            dot(&right, [0, 1, 8]).is_err(),
            "a tile that does not exist"
        );
        for roles in [[0, 0, 2], [0, 1, 0], [0, 1, 1]] {
            let same = shapes([(2, 8), (2, 8), (2, 8)]);
            assert_eq!(dot(&same, [0, 1, 2]), Ok(()));
            assert!(dot(&same, roles).is_err(), "{roles:?}");
        }
        for wrong in [
            [(3, 8), (4, 20), (5, 8)],
            [(3, 8), (3, 20), (4, 8)],
            [(3, 8), (3, 20), (5, 12)],
            [(3, 6), (3, 20), (5, 6)],
            [(3, 8), (3, 19), (4, 8)],
        ] {
            assert!(dot(&shapes(wrong), [0, 1, 2]).is_err(), "{wrong:?}");
        }
        tiles.release();
        assert!(tiles.zero(0).is_err());
    }

    #[test]
    fn bytes_outside_the_shape_are_zero() {
        let mut tiles = Tiles::INITIAL;
        tiles.load_config(&config(|_| ())).unwrap();
        tiles.data = [[[9; ROW_BYTES]; ROWS]; TILES];
        tiles.load(0, |row, to| to.fill(row as u8)).unwrap();
        tiles.dot(1, 0, 2, [true, true]).unwrap_err();
        for (row, bytes) in tiles.data[0].iter().enumerate() {
            let expected = if row < 3 { row as u8 } else { 0 };
            assert_eq!(bytes[..8], [expected; 8]);
            assert_eq!(bytes[8..], [0; ROW_BYTES - 8]);
        }
    }
}
