//! Added tokens, matched before the text is split: most in the raw text, `normalized` ones in the
//! normalised text between those.

use super::config::AddedToken;
use super::normalize;
use super::tables::SPACE;

#[derive(Debug, Clone)]
struct Pattern {
    token: AddedToken,
    /// The text to search for.
    text: String,
    id: u32,
}

/// The added tokens, ready for searching.
#[derive(Debug, Clone)]
pub(super) struct AddedTokens {
    /// Matched in the raw text.
    pub(super) raw: Patterns,
    /// Matched in the normalised text between the others.
    pub(super) normalized: Patterns,
}

/// Added tokens that are matched together.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    /// Longest first, so that the first match at a place is the longest.
    patterns: Vec<Pattern>,
    starts: [bool; 256],
    /// The first byte of all tokens, if it is the same.
    only_start: Option<char>,
}

/// A token in the text, and its range, stripped white space included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: u32,
}

impl AddedTokens {
    /// Tokens and their ids; `normalized` is the normaliser.
    pub(super) fn new(tokens: &[(AddedToken, u32)], normalized: impl Fn(&str) -> String) -> Self {
        let pattern = |(token, id): &(AddedToken, u32)| Pattern {
            text: if token.normalized {
                normalized(&token.content)
            } else {
                token.content.clone()
            },
            token: token.clone(),
            id: *id,
        };
        let patterns = tokens.iter().map(pattern);
        let (second, raw) = patterns.partition(|pattern| pattern.token.normalized);
        AddedTokens {
            raw: Patterns::new(raw),
            normalized: Patterns::new(second),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Pattern> {
        self.raw.patterns.iter().chain(&self.normalized.patterns)
    }

    /// The id of a token with exactly this text.
    pub(super) fn id(&self, content: &str) -> Option<u32> {
        let found = self.all().find(|p| p.token.content == content);
        found.map(|p| p.id)
    }

    /// The token with this id.
    pub(super) fn token(&self, id: u32) -> Option<&str> {
        let found = self.all().find(|p| p.id == id);
        found.map(|p| p.token.content.as_str())
    }
}

impl Patterns {
    fn new(mut patterns: Vec<Pattern>) -> Self {
        let mut starts = [false; 256];
        for first in patterns.iter().filter_map(|p| p.text.bytes().next()) {
            starts[usize::from(first)] = true;
        }
        let mut first_bytes = (0..0x80u8).filter(|&b| starts[usize::from(b)]);
        let only_start = match (first_bytes.next(), first_bytes.next()) {
            (Some(b), None) if !starts[0x80..].contains(&true) => Some(b as char),
            _ => None,
        };
        patterns.sort_by_key(|p| std::cmp::Reverse(p.text.len()));
        Patterns {
            patterns,
            starts,
            only_start,
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The matches in a text, from left to right. With `special_as_text`, special tokens are
    /// matched but not returned, so that nothing else matches inside them.
    pub(super) fn matches<'a>(&'a self, text: &'a str, special_as_text: bool) -> Matches<'a> {
        Matches {
            tokens: self,
            text,
            special_as_text,
            searched: 0,
            taken: 0,
        }
    }

    /// The first place at or after `from` with a pattern, and the longest pattern there.
    fn find(&self, text: &str, mut from: usize) -> Option<(usize, &Pattern)> {
        loop {
            let rest = &text.as_bytes()[from..];
            from += match self.only_start {
                Some(start) => text[from..].find(start)?,
                None => rest.iter().position(|&b| self.starts[usize::from(b)])?,
            };
            let rest = &text.as_bytes()[from..];
            let found = self
                .patterns
                .iter()
                .find(|p| rest.starts_with(p.text.as_bytes()));
            match found {
                Some(pattern) => return Some((from, pattern)),
                None => from = next_boundary(text, from),
            }
        }
    }
}

fn next_boundary(text: &str, at: usize) -> usize {
    (at + 1..text.len())
        .find(|&i| text.is_char_boundary(i))
        .unwrap_or(text.len())
}

fn is_space(c: char) -> bool {
    normalize::flags(c) & SPACE != 0
}

/// Iterator over matches.
pub(super) struct Matches<'a> {
    tokens: &'a Patterns,
    text: &'a str,
    special_as_text: bool,
    /// Offset to continue the search from.
    searched: usize,
    /// End of the last match.
    taken: usize,
}

impl Iterator for Matches<'_> {
    type Item = Match;

    fn next(&mut self) -> Option<Match> {
        loop {
            let (at, pattern) = self.tokens.find(self.text, self.searched)?;
            let token = &pattern.token;
            self.searched = at + pattern.text.len();
            let (before, after) = (&self.text[..at], &self.text[self.searched..]);
            let inside_word =
                before.ends_with(normalize::is_word) || after.starts_with(normalize::is_word);
            if (token.single_word && inside_word) || (token.special && self.special_as_text) {
                continue;
            }
            let (mut start, mut end) = (at, self.searched);
            if token.lstrip {
                start = before.trim_end_matches(is_space).len().max(self.taken);
            }
            if token.rstrip {
                end += after.len() - after.trim_start_matches(is_space).len();
            }
            self.taken = end;
            return Some(Match {
                start,
                end,
                id: pattern.id,
            });
        }
    }
}
