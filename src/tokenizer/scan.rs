//! Finds the words of a text, 64 bytes at a time.

use wide::u8x16;

/// Bytes that are scanned together.
pub const WINDOW: usize = 64;
/// Bytes that may be read after the window, to load a word at its end whole.
pub const AFTER: usize = 32;
/// A window and the bytes after it.
pub type Window = [u8; WINDOW + AFTER];

/// The byte assumed after the end of a text.
const BEYOND: u8 = b' ';

/// The window at `at` in the text; at the text's end, a copy padded with spaces.
#[inline]
pub fn window<'a>(text: &'a [u8], at: usize, copy: &'a mut Window) -> &'a Window {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(window) => window,
        None => {
            *copy = [BEYOND; WINDOW + AFTER];
            copy[..rest.len()].copy_from_slice(rest);
            copy
        }
    }
}

/// A bit for each byte of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Masks {
    /// ASCII letters and digits, and all bytes of other characters.
    pub words: u64,
    /// ASCII punctuation, each a word of its own.
    pub singles: u64,
    /// Control characters that separate nothing.
    pub odd: u64,
}

impl Masks {
    /// The masks of a window.
    #[inline]
    pub fn of(window: &Window) -> Self {
        let mut masks = Masks {
            words: 0,
            singles: 0,
            odd: 0,
        };
        for (i, bytes) in window[..WINDOW].as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*bytes);
            let within = |bytes: u8x16, first: u8, last: u8| {
                let above = bytes - u8x16::splat(first);
                above.min(u8x16::splat(last - first)).simd_eq(above)
            };
            let letter = within(bytes | u8x16::splat(b' '), b'a', b'z');
            // The mask takes the highest bit of each byte, which is set if the byte is not ASCII.
            let word = letter | within(bytes, b'0', b'9') | bytes;
            let graphic = within(bytes, b'!', b'~');
            let space = within(bytes, b'\t', b'\n')
                | bytes.simd_eq(u8x16::splat(b'\r'))
                | bytes.simd_eq(u8x16::splat(b' '));
            let bits = |mask: u8x16| u64::from(mask.to_bitmask()) << (16 * i);
            masks.words |= bits(word);
            masks.singles |= bits(graphic) & !bits(word);
            masks.odd |= !bits(word | graphic | space) & (0xFFFF << (16 * i));
        }
        masks
    }

    /// The words that lie whole in the window, and the number of bytes that they and the white space
    /// around them take up. 0 if the first word is longer than the window or next to an odd
    /// character.
    #[inline]
    pub fn whole_words(self) -> (Words, usize) {
        let known = self.odd.trailing_zeros();
        let unfinished = self
            .words
            .checked_shl(64 - known)
            .map_or(0, u64::leading_ones);
        let end = known - unfinished;
        let below_end = u64::MAX.checked_shr(64 - end).unwrap_or(0);
        let begin = self.words & !(self.words << 1);
        let words = Words {
            starts: (begin | self.singles) & below_end,
            others: !self.words,
        };
        (words, end as usize)
    }
}

/// Start and length of each word.
#[derive(Debug, Clone)]
pub struct Words {
    starts: u64,
    others: u64,
}

impl Iterator for Words {
    type Item = (usize, usize);

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.starts == 0 {
            return None;
        }
        let start = self.starts.trailing_zeros();
        self.starts &= self.starts - 1;
        // Punctuation counts among the others.
        let len = (self.others >> start).trailing_zeros().max(1);
        Some((start as usize, len as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> (Vec<&str>, usize) {
        let mut copy = [0; _];
        let (words, used) = Masks::of(window(text.as_bytes(), 0, &mut copy)).whole_words();
        (words.map(|(at, len)| &text[at..at + len]).collect(), used)
    }

    #[test]
    fn words_and_punctuation() {
        assert_eq!(words(""), (vec![], 64));
        let (found, used) = words(" It's  5\u{b0}C,\tor so...\r\n");
        let expected = ["It", "'", "s", "5\u{b0}C", ",", "or", "so", ".", ".", "."];
        assert_eq!((found, used), (expected.to_vec(), 64));
    }

    #[test]
    fn unfinished_words_are_left_out() {
        let text = format!("{} {}", "x".repeat(60), "y".repeat(40));
        assert_eq!(words(&text), (vec![&text[..60]], 61));
        assert_eq!(words(&text[37..]), (vec![&text[37..60]], 24));
        assert_eq!(words(&"x".repeat(64)), (vec![], 0));
        assert_eq!(words(&"x".repeat(63)).1, 64);
        assert_eq!(words(&format!("{}.", "x".repeat(63))).1, 64);
        assert_eq!(words(&format!("{}.a", " ".repeat(63))), (vec!["."], 64));
    }

    #[test]
    fn an_odd_character_leaves_out_the_word_before_it() {
        assert_eq!(words("a bc\u{1}d e"), (vec!["a"], 2));
        assert_eq!(words("a .\u{1}d e"), (vec!["a", "."], 3));
        assert_eq!(words("\u{7f}d e"), (vec![], 0));
        assert_eq!(words("d\u{0}"), (vec![], 0));
    }

    #[test]
    fn every_byte_has_its_place() {
        for byte in 0..=255u8 {
            let masks = Masks::of(&[byte; _]);
            let of = |yes: bool| if yes { u64::MAX } else { 0 };
            let expected = Masks {
                words: of(byte.is_ascii_alphanumeric() || !byte.is_ascii()),
                singles: of(byte.is_ascii_punctuation()),
                odd: of(byte.is_ascii_control() && !b"\t\n\r".contains(&byte)),
            };
            assert_eq!(masks, expected, "{byte}");
        }
    }
}
