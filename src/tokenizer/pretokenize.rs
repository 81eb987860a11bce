//! From text to words to ids. Known words come from a cache, others are normalised and go to
//! WordPiece.

use unicode_normalization::char::decompose_canonical;

use super::memo;
use super::normalize::{self, Steps};
use super::scan::{self, Masks, Window};
use super::scratch::{LONG, LongWords, SHORT, ShortWords, TokenizerScratch};
use super::tables::{CHINESE, DECOMPOSES, MARK, NONSTARTER, PUNCTUATION, REMOVED, SPACE};
use super::wordpiece::{HEAD, Ids, WordPiece};

/// What to do with a byte of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Append(u8),
    Space,
    Drop,
    Punctuation,
    /// Not ASCII, or rare: decided by the character.
    Character,
}

/// An [`Action`] for each byte.
#[derive(Debug, Clone)]
pub(super) struct ByteTable([Action; 256]);

impl ByteTable {
    /// The table for these steps.
    pub(super) fn new(steps: Steps) -> Self {
        let action = |byte: usize| {
            let c = byte as u8 as char;
            let flags = normalize::flags(c);
            match byte {
                0x80.. => Action::Character,
                _ if flags & REMOVED != 0 && steps.clean_text => Action::Drop,
                _ if flags & SPACE != 0 => Action::Space,
                _ if flags & PUNCTUATION != 0 => Action::Punctuation,
                _ if steps.lowercase => Action::Append(normalize::lower(c, flags) as u8),
                _ => Action::Append(byte as u8),
            }
        };
        ByteTable(std::array::from_fn(action))
    }
}

/// The rules of splitting and lookup.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The normaliser's steps.
    pub(super) steps: Steps,
    /// Derived from the steps.
    pub(super) table: &'a ByteTable,
    /// Longer words are unknown.
    pub(super) max_chars: usize,
    /// From words to ids.
    pub(super) wordpiece: WordPiece<'a>,
    /// Number of the vocabulary, unique in the process.
    pub(super) vocabulary: u64,
}

/// The state of a pass over a text: the word so far, and its ids.
pub(super) struct Splitter<'a> {
    rules: Rules<'a>,
    buffer: &'a mut [u8],
    short_words: &'a mut ShortWords,
    long_words: &'a mut LongWords,
    /// Ids not counted yet.
    pieces: &'a mut Vec<u32>,
    /// The word is `buffer[HEAD..end]`.
    end: usize,
    /// Number of its characters. Those beyond `max_chars` are counted but not stored.
    chars: usize,
    /// Marks are not sorted to a place before this.
    barrier: usize,
}

impl<'a> Splitter<'a> {
    /// Starts a pass.
    pub(super) fn new(rules: Rules<'a>, scratch: &'a mut TokenizerScratch) -> Self {
        scratch.prepare_word(rules.max_chars);
        scratch.prepare_cache(rules.vocabulary);
        Splitter {
            rules,
            buffer: &mut scratch.word,
            short_words: &mut scratch.short_words,
            long_words: &mut scratch.long_words,
            pieces: &mut scratch.pieces,
            end: HEAD,
            chars: 0,
            barrier: HEAD,
        }
    }

    /// Reads all words of a text. The end of the text ends the last word.
    ///
    /// The ids of a word between two ASCII characters that end words depend on nothing else. So
    /// words are found in the raw text, and normalised only if they are not in the cache.
    pub(super) fn text(&mut self, text: &str, ids: &mut Ids) {
        let mut copy = [0; _];
        let mut at = 0;
        while at < text.len() {
            let window = scan::window(text.as_bytes(), at, &mut copy);
            let (words, used) = Masks::of(window).whole_words();
            if used == 0 {
                at = self.unusual_word(text, at, ids);
                continue;
            }
            for (start, len) in words {
                self.usual_word(window, start, len, (text, at), ids);
            }
            at += used;
        }
    }

    /// Reads the word of `len` bytes at `start` in the window at `at` in the text.
    #[inline]
    fn usual_word(
        &mut self,
        window: &Window,
        start: usize,
        len: usize,
        (text, at): (&str, usize),
        ids: &mut Ids,
    ) {
        let bytes = window[start..].as_chunks().0;
        if len <= SHORT {
            let key = memo::key(bytes.first_chunk().expect("a window is longer"), len);
            if let Some(known) = self.short_words.get(&key) {
                return ids.push_few(&known.ids, known.count);
            }
            self.short_word(&key, &text[at + start..][..len]);
            self.short_words.insert(&key, self.pieces);
        } else if len <= LONG {
            let key = memo::key(bytes.first_chunk().expect("a window is longer"), len);
            if let Some(known) = self.long_words.get(&key) {
                return ids.push_few(&known.ids, known.count);
            }
            self.word(&text[at + start..][..len]);
            self.long_words.insert(&key, self.pieces);
        } else {
            self.word(&text[at + start..][..len]);
        }
        ids.take(self.pieces);
    }

    /// Reads a word with this key.
    #[inline(never)]
    fn short_word(&mut self, key: &memo::Key<2>, text: &str) {
        let [low, high] = *key;
        if (low | high) & HIGH_BITS != 0 || text.len() > self.rules.max_chars {
            return self.word(text);
        }
        let letters = [self.lowered(low), self.lowered(high)];
        self.buffer[HEAD..HEAD + SHORT].copy_from_slice(bytemuck::bytes_of(&letters));
        self.end = HEAD + text.len();
        self.chars = text.len();
        self.end_word();
    }

    /// Eight ASCII characters, in lower case if the rules say so.
    #[inline]
    fn lowered(&self, ascii: u64) -> u64 {
        if self.rules.steps.lowercase {
            ascii | letters_and_digits(ascii).1 >> 2
        } else {
            ascii
        }
    }

    /// Reads the text between two ASCII characters that end words.
    #[inline(never)]
    fn word(&mut self, text: &str) {
        let mut at = 0;
        while at < text.len() {
            at = self.step(text, at).0;
        }
        self.end_word();
    }

    /// Reads up to the next ASCII character that ends a word, which may be far. Returns the offset
    /// after it.
    #[inline(never)]
    fn unusual_word(&mut self, text: &str, mut at: usize, ids: &mut Ids) -> usize {
        let mut ends = false;
        while at < text.len() && !ends {
            (at, ends) = self.step(text, at);
            ids.take(self.pieces);
        }
        self.end_word();
        ids.take(self.pieces);
        at
    }

    /// Reads a few characters. Returns the offset after them, and whether the last one ended the
    /// word.
    #[inline]
    fn step(&mut self, text: &str, at: usize) -> (usize, bool) {
        let bytes = text.as_bytes();
        let letters = self.append_letters(bytes, at);
        if letters > 0 {
            return (at + letters, false);
        }
        match self.rules.table.0[usize::from(bytes[at])] {
            Action::Append(byte) => self.append_byte(byte),
            Action::Space => {
                self.end_word();
                return (at + 1, true);
            }
            Action::Drop => {}
            Action::Punctuation => {
                self.end_word();
                self.append_byte(bytes[at]);
                self.end_word();
                return (at + 1, true);
            }
            Action::Character => return (self.characters(text, at), false),
        }
        (at + 1, false)
    }

    /// Appends the ASCII letters and digits at the start of the next eight bytes. Returns their
    /// number.
    fn append_letters(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            return 0;
        };
        let chunk = u64::from_le_bytes(*chunk);
        let (letters, _) = letters_and_digits(chunk);
        let count = (!letters & HIGH_BITS).trailing_zeros() as usize / 8;
        if self.chars + count > self.rules.max_chars {
            return 0; // one at a time, so that the word does not overrun its buffer
        }
        let lowered = self.lowered(chunk).to_le_bytes();
        self.buffer[self.end..self.end + 8].copy_from_slice(&lowered);
        self.end += count;
        self.chars += count;
        count
    }

    /// Reads some characters that are not ASCII. Returns the offset after them.
    fn characters(&mut self, text: &str, mut at: usize) -> usize {
        for c in text[at..].chars().take(64) {
            if c.is_ascii() {
                break;
            }
            self.character(c);
            at += c.len_utf8();
        }
        at
    }

    fn character(&mut self, c: char) {
        let flags = normalize::flags(c);
        if flags == 0 {
            self.append(c);
        } else if flags & REMOVED != 0 && self.rules.steps.clean_text {
            // dropped
        } else if flags & CHINESE != 0 && self.rules.steps.handle_chinese_chars {
            self.end_word();
            self.cleaned(c, flags);
            self.end_word();
        } else {
            self.cleaned(c, flags);
        }
    }

    fn cleaned(&mut self, c: char, flags: u16) {
        if !self.rules.steps.strip_accents {
            return self.decomposed(c, flags);
        }
        if flags & MARK != 0 || flags & DECOMPOSES != 0 {
            if flags & NONSTARTER == 0 {
                self.barrier = self.end;
            }
            if flags & DECOMPOSES != 0 {
                self.decompose(c);
            }
        } else if flags & NONSTARTER != 0 {
            self.insert_mark(c);
        } else {
            self.decomposed(c, flags);
        }
    }

    fn decompose(&mut self, c: char) {
        // The table of observed flags decides which characters decompose, so a newer Unicode
        // changes nothing. Unicode never changes the decomposition of a character.
        decompose_canonical(c, |letter| {
            let flags = normalize::flags(letter);
            if flags & MARK != 0 {
                // Dropped.
            } else if flags & NONSTARTER != 0 {
                self.insert_mark(letter);
            } else {
                self.decomposed(letter, flags);
            }
        });
    }

    fn decomposed(&mut self, c: char, flags: u16) {
        if flags & SPACE != 0 {
            self.end_word();
        } else if flags & PUNCTUATION != 0 {
            self.end_word();
            self.append(c);
            self.end_word();
        } else if !self.rules.steps.lowercase {
            self.append(c);
        } else if c == '\u{130}' {
            self.append('i');
            self.append('\u{307}');
        } else {
            self.append(normalize::lower(c, flags));
        }
    }

    fn append_byte(&mut self, byte: u8) {
        if self.chars < self.rules.max_chars {
            self.buffer[self.end] = byte;
            self.end += 1;
        }
        self.chars += 1;
    }

    fn append(&mut self, c: char) {
        if self.chars < self.rules.max_chars {
            self.end += c.encode_utf8(&mut self.buffer[self.end..]).len();
        }
        self.chars += 1;
    }

    /// Inserts a mark before the marks of a higher class at the word's end.
    fn insert_mark(&mut self, mark: char) {
        let class = normalize::combining_class(mark);
        let mut place = self.end;
        while let Some(last) = last_char(&self.buffer[self.barrier..place]) {
            if normalize::combining_class(last) <= class {
                break;
            }
            place -= last.len_utf8();
        }
        let before = self.end;
        self.append(mark);
        self.buffer[place..self.end].rotate_right(self.end - before);
    }

    fn end_word(&mut self) {
        if self.chars > self.rules.max_chars {
            self.pieces.push(self.rules.wordpiece.unk);
        } else if self.chars > 0 {
            let wordpiece = self.rules.wordpiece;
            wordpiece.word(self.buffer, self.end, self.pieces);
        }
        self.end = HEAD;
        self.chars = 0;
        self.barrier = HEAD;
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// For eight bytes: the high bit of each ASCII letter or digit, and of each upper-case letter.
fn letters_and_digits(chunk: u64) -> (u64, u64) {
    let every = |byte: u8| u64::from(byte) * 0x0101_0101_0101_0101;
    let low = chunk & !HIGH_BITS;
    // The high bit of each byte of `from_to` is set if first <= byte <= last. Nothing carries over.
    let from_to = |bytes: u64, first: u8, last: u8| {
        (bytes + every(0x80 - first)) & !(bytes + every(0x7F - last)) & HIGH_BITS
    };
    let letters = from_to(low | every(0x20), b'a', b'z') & !chunk;
    let digits = from_to(low, b'0', b'9') & !chunk;
    (letters | digits, letters & !(chunk << 2))
}

fn last_char(bytes: &[u8]) -> Option<char> {
    let start = bytes.iter().rposition(|&b| b & 0xC0 != 0x80)?;
    std::str::from_utf8(&bytes[start..]).ok()?.chars().next()
}
