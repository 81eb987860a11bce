//! A double-array trie: all pieces that a text begins with, one byte at a time.
//!
//! Node and byte lead to the unit `base ^ byte`, so that the children of a node lie in one block of
//! 256 units. No two nodes with children have one base, so that a unit's label tells whether it is
//! the child.
//! [`mod@crate::format`] describes the bytes.

use super::bytes::le_u64;
use super::lookup::MAX_PIECE_BYTES;
use crate::error::TokenizerError;
use crate::format::storage::Blob;

const BLOCK: usize = 256;
/// Blocks at the end in which a place is sought before one is added.
const OPEN_BLOCKS: usize = 16;
const UNIT: usize = 8;
/// Most units. Bounds what a vocabulary of long pieces can ask for.
const MAX_UNITS: usize = 1 << 22;
/// A unit: the label and this bit, then the base, then the piece's id and 1, or 0.
const USED: u64 = 1 << 8;
const BASE_SHIFT: u32 = 9;
const BASE_BITS: u32 = 24;
const ID_SHIFT: u32 = BASE_SHIFT + BASE_BITS;

/// A checked trie.
#[derive(Debug, Clone)]
pub(super) struct Trie(Blob);

impl Trie {
    /// Checks the section's length. Its contents are checked at each use.
    pub(super) fn open(section: Blob) -> Result<Self, TokenizerError> {
        if section.is_empty() || !section.len().is_multiple_of(UNIT * BLOCK) {
            return Err(TokenizerError::Section {
                section: "tokenizer.trie",
                reason: format!("{} bytes are not whole blocks", section.len()),
            });
        }
        Ok(Trie(section))
    }

    /// The section.
    pub(super) fn section(&self) -> &Blob {
        &self.0
    }

    /// Calls `each` with id and length of all keys that `text` starts with, the shortest first.
    #[inline]
    pub(super) fn each_prefix(&self, text: &[u8], mut each: impl FnMut(u32, usize)) {
        let units: &[u8] = &self.0;
        let base = |unit: u64| (unit >> BASE_SHIFT) as usize & ((1 << BASE_BITS) - 1);
        let mut at = base(le_u64(units, 0));
        for (&byte, len) in text.iter().take(MAX_PIECE_BYTES).zip(1..) {
            let unit = le_u64(units, UNIT * (at ^ usize::from(byte)));
            if unit & (USED | 0xFF) != USED | u64::from(byte) {
                return;
            }
            if let Some(id) = ((unit >> ID_SHIFT) as u32).checked_sub(1) {
                each(id, len);
            }
            at = base(unit);
        }
    }
}

/// The section `tokenizer.trie`. Keys must be distinct and not empty.
///
/// # Errors
/// If it would have more than 4,194,304 units.
pub(super) fn build(keys: &[(u32, &[u8])]) -> Result<Blob, TokenizerError> {
    let mut keys: Vec<(&[u8], u32)> = keys.iter().map(|&(id, key)| (key, id)).collect();
    keys.sort_unstable();
    let mut builder = Builder::default();
    builder.add_block();
    builder.take(0, 0);
    // A leaf's base, which leads nowhere.
    builder.bases[0] = true;
    // A node's unit, the keys below it and their common length.
    let mut todo = vec![(0, &keys[..], 0)];
    let mut labels = Vec::new();
    while let Some((unit, keys, depth)) = todo.pop() {
        let mut rest = keys;
        if let Some(((key, id), others)) = rest.split_first()
            && key.len() == depth
        {
            builder.units[unit] |= u64::from(id + 1) << ID_SHIFT;
            rest = others;
        }
        labels.clear();
        labels.extend(rest.iter().map(|(key, _)| key[depth]));
        labels.dedup();
        if labels.is_empty() {
            continue;
        }
        let base = builder.place(&labels);
        if builder.units.len() > MAX_UNITS {
            return Err(TokenizerError::Section {
                section: "tokenizer.trie",
                reason: format!("more than {MAX_UNITS} units: the pieces are too long"),
            });
        }
        builder.units[unit] |= (base as u64) << BASE_SHIFT;
        for children in rest.chunk_by(|(a, _), (b, _)| a[depth] == b[depth]) {
            let at = base ^ usize::from(children[0].0[depth]);
            todo.push((at, children, depth + 1));
        }
    }
    // The root is no child: a leaf's base and a zero byte lead to it.
    builder.units[0] &= !USED;
    builder
        .units
        .iter_mut()
        .for_each(|unit| *unit = unit.to_le());
    Ok(Blob::copy_from(bytemuck::cast_slice(&builder.units)))
}

/// A double array in the making.
#[derive(Default)]
struct Builder {
    units: Vec<u64>,
    /// A bit for each unit, set if it is not in use.
    free: Vec<u64>,
    /// Whether a unit's index is a node's base.
    bases: Vec<bool>,
}

impl Builder {
    fn add_block(&mut self) {
        let len = self.units.len() + BLOCK;
        self.units.resize(len, 0);
        self.free.resize(len / 64, u64::MAX);
        self.bases.resize(len, false);
    }

    /// Marks a free unit as used.
    fn take(&mut self, unit: usize, label: u8) {
        self.units[unit] = USED | u64::from(label);
        self.free[unit / 64] &= !(1 << (unit % 64));
    }

    /// Takes units for children with these labels; returns their base.
    fn place(&mut self, labels: &[u8]) -> usize {
        let base = self.find(labels).unwrap_or_else(|| {
            self.add_block();
            self.units.len() - BLOCK
        });
        self.bases[base] = true;
        for &label in labels {
            self.take(base ^ usize::from(label), label);
        }
        base
    }

    /// A base in the last blocks whose units for these labels are free.
    fn find(&self, labels: &[u8]) -> Option<usize> {
        let from = self.units.len().saturating_sub(OPEN_BLOCKS * BLOCK);
        for word in from / 64..self.free.len() {
            let mut bits = self.free[word];
            while bits != 0 {
                let unit = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let base = unit ^ usize::from(labels[0]);
                let free = |&label: &u8| self.units[base ^ usize::from(label)] == 0;
                if !self.bases[base] && labels.iter().all(free) {
                    return Some(base);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trie(keys: &[&str]) -> Trie {
        let keys: Vec<(u32, &[u8])> = (0..).zip(keys.iter().map(|key| key.as_bytes())).collect();
        Trie::open(build(&keys).unwrap()).unwrap()
    }

    fn found(trie: &Trie, text: &str) -> Vec<(u32, usize)> {
        let mut found = Vec::new();
        trie.each_prefix(text.as_bytes(), |id, len| found.push((id, len)));
        found
    }

    #[test]
    fn prefixes_come_the_shortest_first() {
        let t = trie(&["b", "abc", "a", "\0", "a\0", "\u{e9}t\u{e9}", "ab"]);
        assert_eq!(found(&t, "abcd"), [(2, 1), (6, 2), (1, 3)]);
        assert_eq!(found(&t, "a\0\0"), [(2, 1), (4, 2)]);
        assert_eq!(found(&t, "\0a"), [(3, 1)]);
        assert_eq!(found(&t, "\u{e9}t\u{e9}s"), [(5, 5)]);
        assert_eq!(found(&t, "\u{e9}t"), []);
        assert_eq!(found(&t, ""), []);
        assert_eq!(found(&trie(&[]), "a"), []);
        // After a leaf, a zero byte does not lead back to the root.
        assert_eq!(found(&trie(&["e", "f"]), "e\0f"), [(0, 1)]);
        assert_eq!(found(&trie(&[]), "\0"), []);
    }

    #[test]
    fn every_key_has_its_place() {
        let keys: Vec<String> = (0..30_000u32)
            .map(|i| format!("{:x}", i.wrapping_mul(0x9E37_79B1)))
            .collect();
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        let t = trie(&texts);
        for (id, key) in (0..).zip(&keys) {
            assert_eq!(found(&t, key).last(), Some(&(id, key.len())));
        }
        // Most units are in use.
        let nodes = t.section().as_chunks::<UNIT>().0;
        let used = nodes.iter().filter(|unit| **unit != [0; UNIT]).count();
        assert!(used * 10 > nodes.len() * 9, "{used} of {}", nodes.len());
    }

    #[test]
    fn long_pieces_in_great_number_are_refused() {
        let keys: Vec<String> = (0..20_000).map(|i| format!("{i:0255}")).collect();
        let keys: Vec<(u32, &[u8])> = (0..).zip(keys.iter().map(|key| key.as_bytes())).collect();
        assert!(build(&keys).is_ok(), "they differ at their ends only");
        let keys: Vec<String> = (0..20_000).map(|i| format!("{i:<255}")).collect();
        let keys: Vec<(u32, &[u8])> = (0..).zip(keys.iter().map(|key| key.as_bytes())).collect();
        let error = build(&keys).unwrap_err().to_string();
        assert!(error.contains("the pieces are too long"), "{error}");
    }

    #[test]
    fn damage_stays_within_the_section() {
        let keys = ["a", "ab", "abc", "b"].map(str::as_bytes);
        let sound = build(&(0..).zip(keys).collect::<Vec<_>>())
            .unwrap()
            .to_vec();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] = 0xFF;
            let damaged = Trie::open(Blob::copy_from(&bytes)).unwrap();
            assert!(found(&damaged, &"abc".repeat(200)).len() <= MAX_PIECE_BYTES);
        }
        assert!(Trie::open(Blob::copy_from(&sound[8..])).is_err());
        assert!(Trie::open(Blob::copy_from(&[])).is_err());
    }
}
