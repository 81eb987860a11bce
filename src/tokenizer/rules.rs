//! The rules in which kinds of tokenizers differ.

/// How a text's words become ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerKind {
    /// BERT's rules, and the longest piece first.
    WordPiece,
    /// SentencePiece's rules, and the pieces of the highest total score.
    Unigram(UnigramRules),
}

/// A Unigram's rules, besides its normaliser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnigramRules {
    /// White space separates words. Else only spaces do, and each begins a word.
    pub split_whitespace: bool,
    /// White space at the text's start is dropped.
    pub strip_left: bool,
    /// White space at the text's end is dropped.
    pub strip_right: bool,
    /// What several spaces in a row become.
    pub spaces: Spaces,
}

/// What a Unigram's normaliser makes of several spaces in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spaces {
    /// They stay.
    #[default]
    Kept,
    /// One space.
    One,
    /// `▁`.
    Mark,
}

impl UnigramRules {
    /// Whether the character, which is not `▁`, ends a word.
    pub(super) fn ends_word(self, c: char) -> bool {
        if self.split_whitespace {
            c.is_whitespace()
        } else {
            c == ' '
        }
    }

    /// The rules as bits.
    pub(super) fn flags(self) -> u32 {
        u32::from(self.split_whitespace)
            | u32::from(self.strip_left) << 1
            | u32::from(self.strip_right) << 2
            | (self.spaces as u32) << 3
    }

    /// The inverse of [`UnigramRules::flags`]; `None` for an unknown bit.
    pub(super) fn from_flags(flags: u32) -> Option<Self> {
        let spaces = [Spaces::Kept, Spaces::One, Spaces::Mark];
        Some(UnigramRules {
            split_whitespace: flags & 1 != 0,
            strip_left: flags & 2 != 0,
            strip_right: flags & 4 != 0,
            spaces: *spaces.get(flags as usize >> 3)?,
        })
    }
}
