//! One pass over the text: normalises, splits into words, and hands each to WordPiece.

use unicode_normalization::char::decompose_canonical;

use super::normalize::{self, Steps};
use super::tables::{CHINESE, DECOMPOSES, MARK, NONSTARTER, PUNCTUATION, REMOVED, SPACE};
use super::wordpiece::{HEAD, Ids, WordPiece};

/// Bytes that may be read, never written, after the longest word.
const TAIL: usize = 16;

/// A word's buffer, kept from text to text so that nothing is allocated per word.
#[derive(Debug, Default)]
pub struct TokenizerScratch {
    word: Vec<u8>,
}

impl TokenizerScratch {
    /// An empty one; it grows to a few hundred bytes at first use.
    pub fn new() -> Self {
        Self::default()
    }

    fn buffer(&mut self, max_chars: usize) -> &mut [u8] {
        let len = HEAD + 4 * max_chars + TAIL;
        if self.word.len() < len {
            self.word.resize(len, 0);
        }
        &mut self.word
    }
}

/// What to do with a byte of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Append(u8),
    Space,
    Drop,
    Punctuation,
    /// Not ASCII, or rare: look at the character.
    Character,
}

/// An [`Action`] for each byte, from the steps that are on.
#[derive(Debug, Clone)]
pub struct ByteTable([Action; 256]);

impl ByteTable {
    /// The table for these steps.
    pub fn new(steps: Steps) -> Self {
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

/// The state of the pass: the word so far, and where its ids go.
pub struct Splitter<'a> {
    steps: Steps,
    table: &'a ByteTable,
    max_chars: usize,
    wordpiece: WordPiece<'a>,
    buffer: &'a mut [u8],
    /// The word stands at `buffer[HEAD..end]`.
    end: usize,
    /// Its characters, also those beyond `max_chars`, which are not stored.
    chars: usize,
    /// Marks are not sorted past this place.
    barrier: usize,
}

impl<'a> Splitter<'a> {
    /// A pass that begins.
    pub fn new(
        steps: Steps,
        table: &'a ByteTable,
        max_chars: usize,
        wordpiece: WordPiece<'a>,
        scratch: &'a mut TokenizerScratch,
    ) -> Self {
        Splitter {
            steps,
            table,
            max_chars,
            wordpiece,
            buffer: scratch.buffer(max_chars),
            end: HEAD,
            chars: 0,
            barrier: HEAD,
        }
    }

    /// All words of a text, which ends the last one.
    pub fn text(&mut self, text: &str, ids: &mut Ids) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            at += self.append_letters(bytes, at);
            let Some(&byte) = bytes.get(at) else { break };
            at += 1;
            match self.table.0[usize::from(byte)] {
                Action::Append(byte) => self.append_byte(byte),
                Action::Space => self.end_word(ids),
                Action::Drop => {}
                Action::Punctuation => {
                    self.end_word(ids);
                    self.append_byte(byte);
                    self.end_word(ids);
                }
                Action::Character => at = self.characters(text, at - 1, ids),
            }
        }
        self.end_word(ids);
    }

    /// Appends the ASCII letters and digits that the next eight bytes begin with, and says how many.
    fn append_letters(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
            return 0;
        };
        let chunk = u64::from_le_bytes(*chunk);
        let (letters, upper) = letters_and_digits(chunk);
        let lowered = chunk | if self.steps.lowercase { upper >> 2 } else { 0 };
        let count = (!letters & HIGH_BITS).trailing_zeros() as usize / 8;
        if self.chars + count > self.max_chars {
            return 0; // one at a time, so that the word's buffer is not overrun
        }
        self.buffer[self.end..self.end + 8].copy_from_slice(&lowered.to_le_bytes());
        self.end += count;
        self.chars += count;
        count
    }

    /// All characters up to the next ASCII one, whose place is returned.
    fn characters(&mut self, text: &str, mut at: usize, ids: &mut Ids) -> usize {
        for c in text[at..].chars() {
            if c.is_ascii() {
                break;
            }
            self.character(c, ids);
            at += c.len_utf8();
        }
        at
    }

    fn character(&mut self, c: char, ids: &mut Ids) {
        let flags = normalize::flags(c);
        if flags == 0 {
            self.append(c);
        } else if flags & REMOVED != 0 && self.steps.clean_text {
            // as if it were not there
        } else if flags & CHINESE != 0 && self.steps.handle_chinese_chars {
            self.end_word(ids);
            self.cleaned(c, flags, ids);
            self.end_word(ids);
        } else {
            self.cleaned(c, flags, ids);
        }
    }

    fn cleaned(&mut self, c: char, flags: u16, ids: &mut Ids) {
        if !self.steps.strip_accents {
            return self.decomposed(c, flags, ids);
        }
        if flags & MARK != 0 || flags & DECOMPOSES != 0 {
            if flags & NONSTARTER == 0 {
                self.barrier = self.end;
            }
            if flags & DECOMPOSES != 0 {
                self.decompose(c, ids);
            }
        } else if flags & NONSTARTER != 0 {
            self.insert_mark(c);
        } else {
            self.decomposed(c, flags, ids);
        }
    }

    fn decompose(&mut self, c: char, ids: &mut Ids) {
        // What decomposes at all is decided by the table of observed flags, so that a newer Unicode
        // changes nothing: a character's decomposition itself is never changed by Unicode.
        decompose_canonical(c, |letter| {
            let flags = normalize::flags(letter);
            if flags & MARK != 0 {
                // Dropped.
            } else if flags & NONSTARTER != 0 {
                self.insert_mark(letter);
            } else {
                self.decomposed(letter, flags, ids);
            }
        });
    }

    fn decomposed(&mut self, c: char, flags: u16, ids: &mut Ids) {
        if flags & SPACE != 0 {
            self.end_word(ids);
        } else if flags & PUNCTUATION != 0 {
            self.end_word(ids);
            self.append(c);
            self.end_word(ids);
        } else if !self.steps.lowercase {
            self.append(c);
        } else if c == '\u{130}' {
            self.append('i');
            self.append('\u{307}');
        } else {
            self.append(normalize::lower(c, flags));
        }
    }

    fn append_byte(&mut self, byte: u8) {
        if self.chars < self.max_chars {
            self.buffer[self.end] = byte;
            self.end += 1;
        }
        self.chars += 1;
    }

    fn append(&mut self, c: char) {
        if self.chars < self.max_chars {
            self.end += c.encode_utf8(&mut self.buffer[self.end..]).len();
        }
        self.chars += 1;
    }

    /// Puts a mark before those of a higher class that stand at the word's end.
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

    fn end_word(&mut self, ids: &mut Ids) {
        if self.chars > self.max_chars {
            ids.push(self.wordpiece.unk);
        } else if self.chars > 0 {
            self.wordpiece.word(self.buffer, self.end, ids);
        }
        self.end = HEAD;
        self.chars = 0;
        self.barrier = HEAD;
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Of eight bytes, the high bit of each that is an ASCII letter or digit, and of each upper-case one.
fn letters_and_digits(chunk: u64) -> (u64, u64) {
    let every = |byte: u8| u64::from(byte) * 0x0101_0101_0101_0101;
    let low = chunk & !HIGH_BITS;
    // The high bit of each byte of `from_to` is set where first <= byte <= last; nothing carries over.
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
