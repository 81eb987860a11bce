//! BERT's normaliser, one character at a time.
//!
//! Its steps (clean, split Chinese characters, decompose and drop accents, lower-case) look at single
//! characters, except that decomposition sorts runs of marks. So the pipeline runs character by
//! character, without a normalised copy of the text.

use super::tables::{
    CHINESE, CLASSES, FLAGS_PAGES, FLAGS_VALUES, LOWER_DELTAS, LOWER_SHIFT, PAGE, PUNCTUATION,
    SPACE, WORD_RANGES,
};

/// The normaliser's steps: true if on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub clean_text: bool,
    pub handle_chinese_chars: bool,
    pub strip_accents: bool,
    pub lowercase: bool,
}

/// The character's flags. The bits from `LOWER_SHIFT` up are an index into `LOWER_DELTAS`.
pub fn flags(c: char) -> u16 {
    let (page, within) = (c as usize / PAGE, c as usize % PAGE);
    match FLAGS_PAGES.get(page) {
        Some(&page) => FLAGS_VALUES[usize::from(page) * PAGE + within],
        None => 0,
    }
}

/// Whether the character separates words.
pub fn is_space(c: char) -> bool {
    flags(c) & SPACE != 0
}

/// Whether the character is a word of its own: punctuation, or a Chinese character that is split.
pub fn stands_alone(c: char) -> bool {
    flags(c) & (PUNCTUATION | CHINESE) != 0
}

/// The lower-case letter of a character with these flags. The caller handles U+0130, which has two.
pub fn lower(c: char, flags: u16) -> char {
    let delta = LOWER_DELTAS[usize::from(flags >> LOWER_SHIFT)];
    (c as u32)
        .checked_add_signed(delta)
        .and_then(char::from_u32)
        .unwrap_or(c)
}

/// The canonical combining class of a kept mark; 0 for other characters.
pub fn combining_class(c: char) -> u8 {
    match CLASSES.binary_search_by_key(&(c as u32), |&(mark, _)| mark) {
        Ok(i) => CLASSES[i].1,
        Err(_) => 0,
    }
}

/// Whether the character continues a word, for added tokens with `single_word`.
pub fn is_word(c: char) -> bool {
    let c = c as u32;
    let next = WORD_RANGES.partition_point(|&(first, _)| first <= c);
    next > 0 && c <= WORD_RANGES[next - 1].1
}

#[cfg(test)]
mod tests {
    use unicode_normalization::char::decompose_canonical;

    use super::*;
    use crate::tokenizer::tables::DECOMPOSES;

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
