//! A tokenizer's memory.

use super::memo::Memo;
use super::wordpiece::HEAD;

/// Bytes that may be read, never written, after the longest word.
const TAIL: usize = 16;

/// Ids of words of at most 16 bytes.
pub(super) type ShortWords = Memo<2, 3, 2048>;
/// Ids of words of 17 to 32 bytes: rare in English, frequent in scripts with three bytes per
/// letter.
pub(super) type LongWords = Memo<4, 7, 1024>;
/// Longest word among the short ones.
pub(super) const SHORT: usize = 16;
/// Longest word among the long ones.
pub(super) const LONG: usize = 32;

/// A tokenizer's memory, reused for each text: buffers, so that words allocate nothing, and a
/// cache of the ids of words seen before.
#[derive(Debug, Default)]
pub struct TokenizerScratch {
    /// A word.
    pub(super) word: Vec<u8>,
    /// Ids not counted yet.
    pub(super) pieces: Vec<u32>,
    pub(super) short_words: ShortWords,
    pub(super) long_words: LongWords,
    /// Number of the vocabulary of the ids; 0 for none.
    vocabulary: u64,
    /// A prompt and a text.
    pub(super) joined: String,
    /// A text normalised for a Unigram.
    pub(super) normalized: String,
    /// A Unigram's search.
    pub(super) steps: Vec<Step>,
}

/// The last piece of the best path to a place: its id and its length in bytes, 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step(u32);

impl Step {
    /// `id` is below 2^24, `len` below 256.
    pub(super) fn new(id: u32, len: usize) -> Self {
        Step(id << 8 | len as u32)
    }

    /// The piece.
    pub(super) fn id(self) -> u32 {
        self.0 >> 8
    }

    /// Its length.
    pub(super) fn len(self) -> usize {
        (self.0 & 0xFF) as usize
    }
}

impl TokenizerScratch {
    /// Empty memory. It grows with the words it sees, to a third of a megabyte at most, and to
    /// the longest text that had a prompt.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for WordPiece's words, of at most `max_chars` characters.
    pub(super) fn prepare_word(&mut self, max_chars: usize) {
        let len = HEAD + 4 * max_chars + TAIL;
        if self.word.len() < len {
            self.word.resize(len, 0);
        }
    }

    /// Forgets the words of another vocabulary.
    pub(super) fn prepare_cache(&mut self, vocabulary: u64) {
        if self.vocabulary != vocabulary {
            self.short_words.clear();
            self.long_words.clear();
            self.vocabulary = vocabulary;
        }
    }
}
