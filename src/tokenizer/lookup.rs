//! The vocabulary's perfect hash: one slot to read for any word. The converter builds it; it is
//! used in place.
//!
//! Keys are distributed over buckets of about four. Each bucket has a *pilot*, a number that sends
//! all of the bucket's keys to free slots. A slot holds a piece's id and, in its other bits, a part
//! of the hash, which rejects most words that are not pieces without reading the text.
//! [`mod@crate::format`] describes the bytes.

use super::bytes::{Key, le_u16, le_u32};
use crate::error::TokenizerError;

/// Most pieces. Their ids leave at least four bits of a 24-bit slot for the hash.
pub(super) const MAX_PIECES: usize = (1 << 20) - 1;
/// Longest piece in bytes.
pub(super) const MAX_PIECE_BYTES: usize = 255;

const HEADER: usize = 16;
/// Number of masks. A mask holds the lengths of pieces with the same first four bytes.
const FILTER: usize = 2048;
/// Pieces shorter than this are in no mask.
const FILTER_FROM: usize = 4;
const PILOTS_AT: usize = HEADER + 4 * FILTER;
const SLOT: usize = 3;
const SEEDS: u32 = 64;

fn id_bits(pieces: usize) -> u32 {
    usize::BITS - pieces.leading_zeros()
}

/// Mixes both halves of the product: each input bit affects every output bit.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

fn seed_state(seed: u32) -> u64 {
    (u64::from(seed) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The state after eight more bytes, with more to follow.
fn absorb(state: u64, chunk: u64) -> u64 {
    fold(state ^ chunk, 0xD6E8_FEB8_6659_FD93)
}

/// The hash of a key, from the state before its last chunk.
fn finish(state: u64, key: Key) -> u64 {
    fold(
        state ^ key.chunk(key.last_chunk()),
        0xA076_1D64_78BD_642F ^ key.len() as u64,
    )
}

fn hash(seed: u32, key: Key) -> u64 {
    let before = (0..key.last_chunk()).fold(seed_state(seed), |s, i| absorb(s, key.chunk(i)));
    finish(before, key)
}

fn reduce(bits: u32, below: u32) -> u32 {
    ((u64::from(bits) * u64::from(below)) >> 32) as u32
}

fn bucket_of(hash: u64, buckets: u32) -> u32 {
    reduce((hash >> 32) as u32, buckets)
}

fn slot_of(hash: u64, pilot: u16, slots: u32) -> u32 {
    let moved = hash ^ u64::from(pilot).wrapping_mul(0x9FB2_1C65_1E98_DF25);
    let mixed = moved.wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    reduce((mixed >> 32) as u32, slots)
}

/// The low bits of a hash, on which bucket and slot hardly depend.
fn tag_of(hash: u64, id_bits: u32) -> u32 {
    (hash as u32) << id_bits & 0xFF_FFFF
}

fn filter_index(first_four: u32) -> usize {
    first_four.wrapping_mul(0x9E37_79B1) as usize >> (32 - FILTER.ilog2())
}

fn length_bit(len: usize) -> u32 {
    1 << (len - FILTER_FROM).min(31)
}

/// The bytes of `tokenizer.lookup`. Pieces must be distinct, not empty and not too long.
///
/// # Errors
/// If no seed gives every piece its own slot.
pub(super) fn build(pieces: &[(u32, &[u8])], vocab_size: usize) -> Result<Vec<u8>, TokenizerError> {
    let count = pieces.len() as u32;
    let (buckets, slots) = (count / 4 + 1, count + count / 19 + 1);
    let (seed, pilots, table) = (0..SEEDS)
        .find_map(|seed| {
            let hashes: Vec<u64> = pieces
                .iter()
                .map(|(_, key)| hash(seed, Key::new(key, key.len())))
                .collect();
            place(&hashes, buckets, slots).map(|(pilots, table)| (seed, pilots, table))
        })
        .ok_or(TokenizerError::NoPerfectHash)?;
    let longest = pieces.iter().map(|(_, key)| key.len()).max().unwrap_or(0);

    let mut out = Vec::new();
    out.extend(seed.to_le_bytes());
    out.extend(buckets.to_le_bytes());
    out.extend(slots.to_le_bytes());
    out.extend((longest as u16).to_le_bytes());
    out.extend([id_bits(vocab_size) as u8, 0]);
    out.extend(filter(pieces).iter().flat_map(|mask| mask.to_le_bytes()));
    out.extend(pilots.iter().flat_map(|pilot| pilot.to_le_bytes()));
    let bits = id_bits(vocab_size);
    for entry in table {
        let slot = match entry {
            Some(index) => {
                let (id, key) = pieces[index as usize];
                id | tag_of(hash(seed, Key::new(key, key.len())), bits)
            }
            None => 0xFF_FFFF,
        };
        out.extend(&slot.to_le_bytes()[..SLOT]);
    }
    out.push(0); // slots are read as four bytes, the last one too
    Ok(out)
}

fn filter(pieces: &[(u32, &[u8])]) -> Vec<u32> {
    let mut masks = vec![0; FILTER];
    for (_, key) in pieces.iter().filter(|(_, key)| key.len() >= FILTER_FROM) {
        masks[filter_index(le_u32(key, 0))] |= length_bit(key.len());
    }
    masks
}

/// Pilots of all buckets, and the index of the hash in each slot.
fn place(hashes: &[u64], buckets: u32, slots: u32) -> Option<(Vec<u16>, Vec<Option<u32>>)> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); buckets as usize];
    for (i, &hash) in hashes.iter().enumerate() {
        members[bucket_of(hash, buckets) as usize].push(i as u32);
    }
    let mut order: Vec<u32> = (0..buckets).collect();
    order.sort_by_key(|&bucket| std::cmp::Reverse(members[bucket as usize].len()));

    let mut pilots = vec![0; buckets as usize];
    let mut table = vec![None; slots as usize];
    let mut wanted = Vec::new();
    for bucket in order {
        let keys = &members[bucket as usize];
        pilots[bucket as usize] = (0..=u16::MAX).find(|&pilot| {
            wanted.clear();
            keys.iter().all(|&key| {
                let slot = slot_of(hashes[key as usize], pilot, slots);
                let free = table[slot as usize].is_none() && !wanted.contains(&slot);
                wanted.push(slot);
                free
            })
        })?;
        for (&slot, &key) in wanted.iter().zip(keys) {
            table[slot as usize] = Some(key);
        }
        wanted.clear();
    }
    Some((pilots, table))
}

/// The header of `tokenizer.lookup`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookupHeader {
    seed: u32,
    buckets: u32,
    slots: u32,
    longest: usize,
    id_bits: u32,
}

impl LookupHeader {
    /// Reads the header and checks the section's length against it.
    ///
    /// # Errors
    /// If the length is wrong or a field is out of range.
    pub(super) fn read(section: &[u8], vocab_size: usize) -> Result<Self, TokenizerError> {
        let wrong = |what: &'static str| TokenizerError::Section {
            section: "tokenizer.lookup",
            reason: what.to_owned(),
        };
        if section.len() < PILOTS_AT {
            return Err(wrong("shorter than its header and length masks"));
        }
        let header = LookupHeader {
            seed: le_u32(section, 0),
            buckets: le_u32(section, 4),
            slots: le_u32(section, 8),
            longest: usize::from(le_u16(section, 12)),
            id_bits: u32::from(section[14]),
        };
        if header.buckets == 0 || header.slots == 0 {
            return Err(wrong("no buckets or no slots"));
        }
        if header.longest > MAX_PIECE_BYTES {
            return Err(wrong("longest piece above 255 bytes"));
        }
        if header.id_bits != id_bits(vocab_size) || section[15] != 0 {
            return Err(wrong("bits of an id do not fit the vocabulary's size"));
        }
        let len = header.slots_at() + SLOT as u64 * u64::from(header.slots) + 1;
        if section.len() as u64 != len {
            return Err(wrong("length does not follow from its header"));
        }
        Ok(header)
    }

    fn slots_at(&self) -> u64 {
        PILOTS_AT as u64 + 2 * u64::from(self.buckets)
    }
}

/// The lookup: the header and the section's bytes.
#[derive(Clone, Copy)]
pub(super) struct Lookup<'a> {
    header: LookupHeader,
    filter: &'a [u8],
    pilots: &'a [u8],
    slots: &'a [u8],
}

impl<'a> Lookup<'a> {
    /// `header` must be the header of `section`.
    pub(super) fn new(header: LookupHeader, section: &'a [u8]) -> Self {
        let (head, slots) = section.split_at(header.slots_at() as usize);
        let (filter, pilots) = head.split_at(PILOTS_AT);
        Lookup {
            header,
            filter: &filter[HEADER..],
            pilots,
            slots,
        }
    }

    /// The id of a key, if it is a piece.
    fn candidate(&self, hash: u64) -> Option<u32> {
        let pilot = le_u16(
            self.pilots,
            2 * bucket_of(hash, self.header.buckets) as usize,
        );
        let slot = slot_of(hash, pilot, self.header.slots) as usize;
        let entry = le_u32(self.slots, SLOT * slot) & 0xFF_FFFF;
        let id_mask = (1 << self.header.id_bits) - 1;
        (entry & !id_mask == tag_of(hash, self.header.id_bits)).then_some(entry & id_mask)
    }

    /// The id of a key; `is_piece(id, key)` compares the piece with the key.
    #[inline]
    pub(super) fn find(&self, key: Key, is_piece: impl Fn(u32, Key) -> bool) -> Option<u32> {
        if key.len() == 0 || key.len() > self.header.longest {
            return None;
        }
        let id = self.candidate(hash(self.header.seed, key))?;
        is_piece(id, key).then_some(id)
    }

    /// Id and length of the longest piece, of `min` bytes or more, that `key` starts with.
    #[inline]
    pub(super) fn find_longest(
        &self,
        key: Key,
        min: usize,
        is_piece: impl Fn(u32, Key) -> bool,
    ) -> Option<(u32, usize)> {
        let max = key.len().min(self.header.longest);
        let masked = le_u32(self.filter, 4 * filter_index(key.chunk(0) as u32));
        let mut states = States::new(self.header.seed);
        for len in Lengths::new(masked, min.max(1), max) {
            if key.is_within_character(len) {
                continue;
            }
            let prefix = key.prefix(len);
            let hash = finish(states.at(prefix.last_chunk(), key), prefix);
            if let Some(id) = self.candidate(hash)
                && is_piece(id, prefix)
            {
                return Some((id, len));
            }
        }
        None
    }
}

/// The lengths that a piece can have, longest first.
struct Lengths {
    /// The next length from `LONG` on, where all are possible; smaller if none is left.
    long: usize,
    /// A bit for each possible shorter length.
    short: u64,
}

/// The highest bit of a length mask stands for this length and all longer ones.
const LONG: usize = FILTER_FROM + 31;

impl Lengths {
    fn new(mask: u32, min: usize, max: usize) -> Self {
        let unmasked = (1 << FILTER_FROM) - 1;
        let short = (u64::from(mask) << FILTER_FROM | unmasked) & ((1 << LONG) - 1);
        let up_to = |len: usize| u64::MAX >> (63 - len.min(63));
        Lengths {
            long: if mask >> 31 != 0 { max } else { 0 },
            short: short & up_to(max) & !up_to(min - 1),
        }
    }
}

impl Iterator for Lengths {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.long >= LONG {
            self.long -= 1;
            return Some(self.long + 1);
        }
        let len = self.short.checked_ilog2()?;
        self.short &= !(1 << len);
        Some(len as usize)
    }
}

/// Hash states after each whole chunk of a key, computed on demand.
struct States {
    states: [u64; MAX_PIECE_BYTES / 8 + 1],
    made: usize,
}

impl States {
    fn new(seed: u32) -> Self {
        let mut states = [0; MAX_PIECE_BYTES / 8 + 1];
        states[0] = seed_state(seed);
        States { states, made: 0 }
    }

    fn at(&mut self, chunk: usize, key: Key) -> u64 {
        while self.made < chunk {
            self.states[self.made + 1] = absorb(self.states[self.made], key.chunk(self.made));
            self.made += 1;
        }
        self.states[chunk]
    }
}
