//! What BERT's normaliser does with one character.
//!
//! Its steps (clean, space out Chinese characters, decompose and drop accents, lower-case) each
//! look at single characters, except that decomposition sorts runs of marks, so the pipeline runs
//! character by character, without a normalised copy of the text.

use super::tables::{
    CLASSES, FLAGS_PAGES, FLAGS_VALUES, LETTERS, LOWER_DELTAS, LOWER_SHIFT, PAGE, STRIPPED_PAGES,
    STRIPPED_VALUES, WORD_RANGES,
};

/// Which of the normaliser's steps are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub clean_text: bool,
    pub handle_chinese_chars: bool,
    pub strip_accents: bool,
    pub lowercase: bool,
}

fn at(pages: &[u8], values: &[u16], c: char) -> u16 {
    let (page, within) = (c as usize / PAGE, c as usize % PAGE);
    match pages.get(page) {
        Some(&page) => values[usize::from(page) * PAGE + within],
        None => 0,
    }
}

/// The character's flags, with the number of its lower-case distance above.
pub fn flags(c: char) -> u16 {
    at(&FLAGS_PAGES, &FLAGS_VALUES, c)
}

/// The lower-case letter of a character with these flags. U+0130, which has two, is the caller's.
pub fn lower(c: char, flags: u16) -> char {
    let delta = LOWER_DELTAS[usize::from(flags >> LOWER_SHIFT)];
    (c as u32)
        .checked_add_signed(delta)
        .and_then(char::from_u32)
        .unwrap_or(c)
}

const HANGUL: u32 = 0xAC00;
const HANGUL_COUNT: u32 = 11172;

/// What is left of a character that decomposes, without the marks that are dropped.
pub fn stripped(c: char) -> Stripped {
    let syllable = (c as u32).wrapping_sub(HANGUL);
    if syllable < HANGUL_COUNT {
        return Stripped::Hangul(hangul(syllable));
    }
    let place = usize::from(at(&STRIPPED_PAGES, &STRIPPED_VALUES, c));
    Stripped::Letters(&LETTERS[place / 4..place / 4 + place % 4])
}

/// The letters of a decomposition.
pub enum Stripped {
    /// Need to be looked at like any other.
    Letters(&'static [char]),
    /// Two or three letters, the third may be missing (NUL), to which no other step applies.
    Hangul([char; 3]),
}

fn hangul(syllable: u32) -> [char; 3] {
    let jamo = |first: u32, index: u32| char::from_u32(first + index).unwrap_or('\0');
    let last = match syllable % 28 {
        0 => '\0',
        index => jamo(0x11A7, index),
    };
    [
        jamo(0x1100, syllable / 588),
        jamo(0x1161, syllable % 588 / 28),
        last,
    ]
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
