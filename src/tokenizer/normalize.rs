//! What BERT's normaliser does with one character.
//!
//! Its steps (clean, space out Chinese characters, decompose and drop accents, lower-case) each
//! look at single characters, except that decomposition sorts runs of marks, so the pipeline runs
//! character by character, without a normalised copy of the text.

use super::tables::{
    CHINESE, CLASSES, FLAGS_PAGES, FLAGS_VALUES, LOWER_DELTAS, LOWER_SHIFT, PAGE, PUNCTUATION,
    SPACE, WORD_RANGES,
};

/// Which of the normaliser's steps are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub clean_text: bool,
    pub handle_chinese_chars: bool,
    pub strip_accents: bool,
    pub lowercase: bool,
}

/// The character's flags, with the number of its lower-case distance above.
pub fn flags(c: char) -> u16 {
    let (page, within) = (c as usize / PAGE, c as usize % PAGE);
    match FLAGS_PAGES.get(page) {
        Some(&page) => FLAGS_VALUES[usize::from(page) * PAGE + within],
        None => 0,
    }
}

/// Whether the character ends a word and belongs to none.
pub fn is_space(c: char) -> bool {
    flags(c) & SPACE != 0
}

/// Whether the character is a word of its own: punctuation, and Chinese characters where they are split.
pub fn stands_alone(c: char) -> bool {
    flags(c) & (PUNCTUATION | CHINESE) != 0
}

/// The lower-case letter of a character with these flags. U+0130, which has two, is the caller's.
pub fn lower(c: char, flags: u16) -> char {
    let delta = LOWER_DELTAS[usize::from(flags >> LOWER_SHIFT)];
    (c as u32)
        .checked_add_signed(delta)
        .and_then(char::from_u32)
        .unwrap_or(c)
}

/// The canonical combining class of a mark that is kept, 0 for all else.
pub fn combining_class(c: char) -> u8 {
    match CLASSES.binary_search_by_key(&(c as u32), |&(mark, _)| mark) {
        Ok(i) => CLASSES[i].1,
        Err(_) => 0,
    }
}

/// Whether the character continues a word, for added tokens that are whole words only.
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
