//! Little-endian reads. Bytes past the end of a slice read as zero, so a damaged file gives wrong
//! values, never a panic.

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(&array) => array,
        None => array_at_end(bytes, at),
    }
}

#[cold]
fn array_at_end<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    let rest = bytes.get(at..).unwrap_or_default();
    let len = rest.len().min(N);
    array[..len].copy_from_slice(&rest[..len]);
    array
}

/// Two bytes.
#[inline]
pub fn le_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

/// Four bytes.
#[inline]
pub fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// Eight bytes.
#[inline]
pub fn le_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// A short text to look up, read eight bytes at a time.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    /// May continue after the key: reading on is faster than stopping at its end.
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Key<'a> {
    /// The first `len` bytes.
    #[inline]
    pub fn new(bytes: &'a [u8], len: usize) -> Self {
        Key { bytes, len }
    }

    /// Its length.
    #[inline]
    pub fn len(self) -> usize {
        self.len
    }

    /// Its first `len` bytes.
    #[inline]
    pub fn prefix(self, len: usize) -> Self {
        Key { len, ..self }
    }

    /// Index of the last chunk. It has one to eight bytes; none in an empty key.
    #[inline]
    pub fn last_chunk(self) -> usize {
        self.len.saturating_sub(1) / 8
    }

    /// Bytes 8i to 8i + 7 as an integer, zero past the key's end.
    #[inline]
    pub fn chunk(self, i: usize) -> u64 {
        let used = self.len.saturating_sub(8 * i).min(8) as u32;
        let mask = u64::MAX.checked_shr(64 - 8 * used).unwrap_or(0);
        le_u64(self.bytes, 8 * i) & mask
    }

    /// Whether `at` is inside a character.
    #[inline]
    pub fn is_within_character(self, at: usize) -> bool {
        at < self.len && self.bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80)
    }

    /// Whether `bytes` has the key at `at`.
    #[inline]
    pub fn is_at(self, bytes: &[u8], at: usize) -> bool {
        let there = Key::new(bytes.get(at..).unwrap_or_default(), self.len);
        (0..=self.last_chunk()).all(|i| there.chunk(i) == self.chunk(i))
    }
}
