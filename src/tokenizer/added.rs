//! Added tokens, matched in the raw text before normalisation.

use super::config::AddedToken;
use super::normalize;
use super::tables::SPACE;

#[derive(Debug, Clone)]
struct Pattern {
    token: AddedToken,
    id: u32,
}

/// The added tokens, ready for searching.
#[derive(Debug, Clone)]
pub struct AddedTokens {
    /// Longest first, so that the first match at a place is the longest.
    patterns: Vec<Pattern>,
    starts: [bool; 256],
    /// The first byte of all tokens, if it is the same.
    only_start: Option<char>,
}

/// A token in the text, and its range, stripped white space included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    pub start: usize,
    pub end: usize,
    pub id: u32,
}

impl AddedTokens {
    /// Tokens and their ids.
    pub fn new(tokens: Vec<(AddedToken, u32)>) -> Self {
        let mut starts = [false; 256];
        for first in tokens
            .iter()
            .filter_map(|(token, _)| token.content.bytes().next())
        {
            starts[usize::from(first)] = true;
        }
        let mut first_bytes = (0..0x80u8).filter(|&b| starts[usize::from(b)]);
        let only_start = match (first_bytes.next(), first_bytes.next()) {
            (Some(b), None) if !starts[0x80..].contains(&true) => Some(b as char),
            _ => None,
        };
        let mut patterns: Vec<_> = tokens
            .into_iter()
            .map(|(token, id)| Pattern { token, id })
            .collect();
        patterns.sort_by_key(|p| std::cmp::Reverse(p.token.content.len()));
        AddedTokens {
            patterns,
            starts,
            only_start,
        }
    }

    /// The id of a token with exactly this text.
    pub fn id(&self, content: &str) -> Option<u32> {
        self.patterns
            .iter()
            .find(|p| p.token.content == content)
            .map(|p| p.id)
    }

    /// The token with this id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.patterns
            .iter()
            .find(|p| p.id == id)
            .map(|p| p.token.content.as_str())
    }

    /// The matches in a text, from left to right. With `special_as_text`, special tokens are matched
    /// but not returned, so that nothing else matches inside them.
    pub fn matches<'a>(&'a self, text: &'a str, special_as_text: bool) -> Matches<'a> {
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
                .find(|p| rest.starts_with(p.token.content.as_bytes()));
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
pub struct Matches<'a> {
    tokens: &'a AddedTokens,
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
            self.searched = at + token.content.len();
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
