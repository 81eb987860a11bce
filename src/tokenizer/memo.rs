//! A cache of the ids of words seen before. Most words of a text are a few frequent ones.

/// A word's bytes, padded with zeros. Words have no zero byte, so keys are unique.
pub type Key<const CHUNKS: usize> = [u64; CHUNKS];

/// The ids of words of at most `8 * CHUNKS` bytes that have at most `IDS` ids.
///
/// Each word belongs to a pair of places. A new word takes the second place of its pair and moves to
/// the first when it occurs again. So words that occur once do not evict frequent ones. The number of
/// pairs grows with the number of words, up to `PAIRS`, a power of two.
#[derive(Debug)]
pub struct Memo<const CHUNKS: usize, const IDS: usize, const PAIRS: usize> {
    /// A power of two of them, or none.
    pairs: Vec<Pair<CHUNKS, IDS>>,
    /// Shifts a hash, whose high bits are the best mixed, to the index of a pair.
    shift: u32,
    /// Words inserted since the last growth.
    inserted: usize,
}

/// First number of pairs, and the factor of growth after that many new words.
const FIRST_PAIRS: usize = 128;
const GROWTH: usize = 4;

/// Two places, in one cache line if words are short.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Pair<const CHUNKS: usize, const IDS: usize>([Known<CHUNKS, IDS>; 2]);

/// A word and its ids.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Known<const CHUNKS: usize, const IDS: usize> {
    key: Key<CHUNKS>,
    /// The ids, padded with zeros.
    pub ids: [u32; IDS],
    /// Number of ids.
    pub count: u32,
}

impl<const CHUNKS: usize, const IDS: usize, const PAIRS: usize> Default
    for Memo<CHUNKS, IDS, PAIRS>
{
    fn default() -> Self {
        Memo {
            pairs: Vec::new(),
            shift: 64,
            inserted: 0,
        }
    }
}

impl<const CHUNKS: usize, const IDS: usize, const PAIRS: usize> Memo<CHUNKS, IDS, PAIRS> {
    const NOTHING: Known<CHUNKS, IDS> = Known {
        key: [0; CHUNKS],
        ids: [0; IDS],
        count: 0,
    };

    /// Forgets all words.
    pub fn clear(&mut self) {
        self.pairs.clear();
        self.inserted = 0;
    }

    /// The word's ids, if they are known.
    #[inline]
    pub fn get(&mut self, key: &Key<CHUNKS>) -> Option<&Known<CHUNKS, IDS>> {
        let index = self.pair(key);
        let Pair(pair) = self.pairs.get_mut(index)?;
        if pair[0].key != *key {
            if pair[1].key != *key {
                return None;
            }
            pair.swap(0, 1);
        }
        Some(&pair[0])
    }

    /// Stores the word's ids, unless there are too many.
    pub fn insert(&mut self, key: &Key<CHUNKS>, ids: &[u32]) {
        if self.inserted >= self.pairs.len() && self.pairs.len() < PAIRS {
            self.grow();
        }
        let mut known = Known {
            key: *key,
            count: ids.len() as u32,
            ..Self::NOTHING
        };
        if let Some(kept) = known.ids.get_mut(..ids.len()) {
            kept.copy_from_slice(ids);
            let index = self.pair(key);
            self.pairs[index].0[1] = known;
            self.inserted += 1;
        }
    }

    /// Adds pairs and forgets all words. Happens twice.
    #[cold]
    fn grow(&mut self) {
        let len = (self.pairs.len() * GROWTH).max(FIRST_PAIRS).min(PAIRS);
        self.clear();
        // Reserved at once, so that nothing is allocated later. Memory costs nothing until it is written.
        self.pairs.reserve_exact(PAIRS);
        self.pairs.resize(len, Pair([Self::NOTHING; 2]));
        self.shift = 64 - len.ilog2();
    }

    /// The index of the word's pair.
    #[inline]
    fn pair(&self, key: &Key<CHUNKS>) -> usize {
        const FACTORS: [u64; 4] = [
            0x9E37_79B9_7F4A_7C15,
            0xC2B2_AE3D_27D4_EB4F,
            0x9FB2_1C65_1E98_DF25,
            0xD6E8_FEB8_6659_FD93,
        ];
        let products = key.iter().zip(FACTORS).map(|(k, f)| k.wrapping_mul(f));
        let mixed = products.fold(0, u64::wrapping_add);
        mixed.unbounded_shr(self.shift) as usize
    }
}

/// The key of the first `len` bytes.
#[inline]
pub fn key<const CHUNKS: usize>(bytes: &[[u8; 8]; CHUNKS], len: usize) -> Key<CHUNKS> {
    std::array::from_fn(|i| {
        let used = len.saturating_sub(8 * i).min(8);
        u64::from_le_bytes(bytes[i]) & LOW_BYTES[used]
    })
}

/// Masks of the low 0 to 8 bytes.
static LOW_BYTES: [u64; 9] = {
    let mut masks = [0; 9];
    let mut i = 1;
    while i < 9 {
        masks[i] = u64::MAX >> (64 - 8 * i);
        i += 1;
    }
    masks
};

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(word: &str) -> Key<2> {
        let mut bytes = [[b'?'; 8]; 2];
        bytes.as_flattened_mut()[..word.len()].copy_from_slice(word.as_bytes());
        key(&bytes, word.len())
    }

    #[test]
    fn keys_are_the_words() {
        let words = ["a", "ab", "abcdefgh", "abcdefghi", "abcdefghijklmnop"];
        for word in words {
            let bytes: Vec<u8> = key_of(word).iter().flat_map(|k| k.to_le_bytes()).collect();
            assert_eq!(&bytes[..word.len()], word.as_bytes());
            assert!(bytes[word.len()..].iter().all(|&b| b == 0));
        }
    }

    #[test]
    fn a_word_met_twice_stays_when_others_come() {
        let mut memo = Memo::<2, 3, 1>::default();
        let ids_of = |memo: &mut Memo<2, 3, 1>, word| {
            let known = memo.get(&key_of(word));
            known.map(|known| known.ids[..known.count as usize].to_vec())
        };
        assert_eq!(ids_of(&mut memo, "the"), None);
        memo.insert(&key_of("the"), &[1]);
        assert_eq!(ids_of(&mut memo, "the"), Some(vec![1]));
        memo.insert(&key_of("cat"), &[2, 3]);
        memo.insert(&key_of("sat"), &[]);
        memo.insert(&key_of("on"), &[4, 5, 6, 7]); // too many
        assert_eq!(ids_of(&mut memo, "cat"), None);
        assert_eq!(ids_of(&mut memo, "sat"), Some(vec![]));
        assert_eq!(ids_of(&mut memo, "on"), None);
        assert_eq!(ids_of(&mut memo, "the"), Some(vec![1]));
        memo.clear();
        assert_eq!(ids_of(&mut memo, "the"), None);
    }
}
