//! BERT's normaliser, one character at a time.
//!
//! Its steps (clean, split Chinese characters, decompose and drop accents, lower-case) look at
//! single characters, except that decomposition sorts runs of marks. So the pipeline runs character
//! by character, without a normalised copy of the text. [`normalized`] makes that copy, for added
//! tokens that are matched in it.

use unicode_normalization::char::decompose_canonical;

use super::tables::{
    CHINESE, CLASSES, DECOMPOSES, FLAGS_PAGES, FLAGS_VALUES, LOWER_DELTAS, LOWER_SHIFT, MARK,
    NONSTARTER, PAGE, PUNCTUATION, REMOVED, SPACE, WORD_RANGES,
};

/// The normaliser's steps: true if on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) clean_text: bool,
    pub(super) handle_chinese_chars: bool,
    pub(super) strip_accents: bool,
    pub(super) lowercase: bool,
}

impl Steps {
    /// The steps as bits.
    pub(super) fn flags(self) -> u32 {
        u32::from(self.lowercase)
            | u32::from(self.strip_accents) << 1
            | u32::from(self.clean_text) << 2
            | u32::from(self.handle_chinese_chars) << 3
    }

    /// The inverse of [`Steps::flags`]; `None` for an unknown bit.
    pub(super) fn from_flags(flags: u32) -> Option<Self> {
        (flags < 1 << 4).then_some(Steps {
            lowercase: flags & 1 != 0,
            strip_accents: flags & 2 != 0,
            clean_text: flags & 4 != 0,
            handle_chinese_chars: flags & 8 != 0,
        })
    }
}

/// The character's flags. The bits from `LOWER_SHIFT` up are an index into `LOWER_DELTAS`.
pub(super) fn flags(c: char) -> u16 {
    let (page, within) = (c as usize / PAGE, c as usize % PAGE);
    match FLAGS_PAGES.get(page) {
        Some(&page) => FLAGS_VALUES[usize::from(page) * PAGE + within],
        None => 0,
    }
}

/// Whether the character separates words.
pub(crate) fn is_space(c: char) -> bool {
    flags(c) & SPACE != 0
}

/// Whether the character is a word of its own: punctuation, or a Chinese character that is split.
pub(crate) fn stands_alone(c: char) -> bool {
    flags(c) & (PUNCTUATION | CHINESE) != 0
}

/// The lower-case letter of a character with these flags. The caller handles U+0130, which has two.
pub(super) fn lower(c: char, flags: u16) -> char {
    let delta = LOWER_DELTAS[usize::from(flags >> LOWER_SHIFT)];
    (c as u32)
        .checked_add_signed(delta)
        .and_then(char::from_u32)
        .unwrap_or(c)
}

/// The canonical combining class of a kept mark; 0 for other characters.
pub(super) fn combining_class(c: char) -> u8 {
    match CLASSES.binary_search_by_key(&(c as u32), |&(mark, _)| mark) {
        Ok(i) => CLASSES[i].1,
        Err(_) => 0,
    }
}

/// Whether the character continues a word, for added tokens with `single_word`.
pub(super) fn is_word(c: char) -> bool {
    let c = c as u32;
    let next = WORD_RANGES.partition_point(|&(first, _)| first <= c);
    next > 0 && c <= WORD_RANGES[next - 1].1
}

/// The normalised text. To normalise it again changes nothing except the number of spaces.
pub(super) fn normalized(text: &str, steps: Steps) -> String {
    let mut copy = Normalized {
        steps,
        text: String::with_capacity(text.len()),
        barrier: 0,
    };
    text.chars().for_each(|c| copy.character(c));
    copy.text
}

/// A normalised text in the making. The steps are those of `pretokenize::Splitter`.
struct Normalized {
    steps: Steps,
    text: String,
    /// Marks are not sorted to a place before this.
    barrier: usize,
}

impl Normalized {
    fn character(&mut self, c: char) {
        let flags = flags(c);
        if flags & REMOVED != 0 && self.steps.clean_text {
            // Dropped.
        } else if flags & CHINESE != 0 && self.steps.handle_chinese_chars {
            self.text.push(' ');
            self.cleaned(c, flags);
            self.text.push(' ');
        } else if flags & SPACE != 0 && self.steps.clean_text {
            self.text.push(' ');
        } else {
            self.cleaned(c, flags);
        }
    }

    fn cleaned(&mut self, c: char, flags: u16) {
        if !self.steps.strip_accents {
            self.lowered(c, flags);
        } else if flags & (MARK | DECOMPOSES) != 0 {
            if flags & NONSTARTER == 0 {
                self.barrier = self.text.len();
            }
            if flags & DECOMPOSES != 0 {
                decompose_canonical(c, |letter| self.letter(letter));
            }
        } else {
            self.letter(c);
        }
    }

    /// A letter that does not decompose.
    fn letter(&mut self, c: char) {
        let flags = flags(c);
        if flags & MARK != 0 {
            // Dropped.
        } else if flags & NONSTARTER != 0 {
            self.insert_mark(c);
        } else {
            self.lowered(c, flags);
        }
    }

    fn lowered(&mut self, c: char, flags: u16) {
        if !self.steps.lowercase {
            self.text.push(c);
        } else if c == '\u{130}' {
            self.text.push_str("i\u{307}");
        } else {
            self.text.push(lower(c, flags));
        }
    }

    /// Inserts a mark before the marks of a higher class at the text's end.
    fn insert_mark(&mut self, mark: char) {
        let class = combining_class(mark);
        let mut place = self.text.len();
        while let Some(last) = self.text[self.barrier..place].chars().next_back() {
            if combining_class(last) <= class {
                break;
            }
            place -= last.len_utf8();
        }
        self.text.insert(place, mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The observed table decides whether a character is decomposed, the crate into what: it must
    /// know every one.
    #[test]
    fn what_decomposes_is_known() {
        let mut seen = 0;
        for c in ('\0'..=char::MAX).filter(|&c| flags(c) & DECOMPOSES != 0) {
            let mut letters = String::new();
            decompose_canonical(c, |letter| letters.push(letter));
            assert_ne!(letters, c.to_string(), "{:x}", c as u32);
            seen += 1;
        }
        assert!(seen > 13_000, "{seen}");
    }
}
