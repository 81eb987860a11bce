//! SentencePiece's normaliser: a trie from short texts to their replacements.
//!
//! The section is SentencePiece's `precompiled_charsmap` as it is: the length of a double-array
//! trie, the trie in the units of the library Darts-clone, and the replacements, each ended by a
//! zero byte. `tokenizers` applies it to grapheme clusters, in its own way: a cluster of less than
//! six bytes is replaced whole if the trie has any prefix of it, by the shortest one's replacement.
//! Otherwise each character is looked up.

use unicode_segmentation::UnicodeSegmentation;

use super::bytes::le_u32;
use crate::error::TokenizerError;
use crate::format::storage::Blob;

/// Longest replacement in bytes. Bounds what a text can grow to.
const LONGEST: usize = 128;
/// Clusters of this many bytes or more are looked up character by character.
const WHOLE: usize = 6;
/// Bytes of the length before the trie.
const HEADER: usize = 4;

/// A checked charsmap; an empty section changes nothing.
#[derive(Debug, Clone)]
pub(super) struct Charsmap {
    section: Blob,
    /// Bytes of the trie.
    trie: usize,
    /// For each byte, whether it is an ASCII character that stays as it is.
    plain: [bool; 256],
}

fn wrong(reason: &str) -> TokenizerError {
    TokenizerError::Section {
        section: "tokenizer.charsmap",
        reason: reason.to_owned(),
    }
}

impl Charsmap {
    /// Checks the section's lengths. Its contents are checked at each use.
    pub(super) fn open(section: Blob) -> Result<Self, TokenizerError> {
        let trie = if section.is_empty() {
            0
        } else {
            let len = le_u32(&section, 0) as usize;
            let rest = section.len().checked_sub(HEADER);
            if rest.is_none_or(|rest| len > rest) || len == 0 || !len.is_multiple_of(4) {
                return Err(wrong("the trie's length does not fit the section"));
            }
            len
        };
        let mut map = Charsmap {
            section,
            trie,
            plain: [false; 256],
        };
        for byte in 0..0x80u8 {
            map.plain[usize::from(byte)] = byte != b'\r' && map.replacement(&[byte]).is_none();
        }
        Ok(map)
    }

    /// The section.
    pub(super) fn section(&self) -> &Blob {
        &self.section
    }

    /// Reads all replacements. Opening skips this.
    ///
    /// # Errors
    /// If one is not UTF-8 or too long.
    pub(super) fn check(&self) -> Result<(), TokenizerError> {
        let texts = std::str::from_utf8(self.texts());
        let texts = texts.map_err(|_| wrong("the replacements are not UTF-8"))?;
        match texts.split('\0').find(|text| text.len() > LONGEST) {
            Some(_) => Err(wrong("a replacement is longer than 128 bytes")),
            None => Ok(()),
        }
    }

    fn texts(&self) -> &[u8] {
        let after = if self.section.is_empty() { 0 } else { HEADER };
        &self.section[after + self.trie..]
    }

    /// The replacement of the shortest prefix of `key` that has one.
    fn replacement(&self, key: &[u8]) -> Option<&str> {
        let trie = &self.section[..self.trie + HEADER.min(self.section.len())];
        let unit = |at: usize| {
            let at = at.checked_mul(4)?.checked_add(HEADER)?;
            (at < trie.len()).then(|| le_u32(trie, at) as usize)
        };
        // A unit holds the label of the byte that leads to it, and the offset of the next ones.
        let offset = |unit: usize| (unit >> 10) << ((unit & (1 << 9)) >> 6);
        let mut at = offset(unit(0)?);
        for &byte in key {
            if byte == 0 {
                return None;
            }
            at ^= usize::from(byte);
            let found = unit(at)?;
            if found & (1 << 31 | 0xFF) != usize::from(byte) {
                return None;
            }
            at ^= offset(found);
            if found >> 8 & 1 != 0 {
                return self.text(unit(at)? & ((1 << 31) - 1));
            }
        }
        None
    }

    /// The text at this place.
    fn text(&self, at: usize) -> Option<&str> {
        let texts = self.texts().get(at..)?;
        let end = texts.iter().take(LONGEST + 1).position(|&byte| byte == 0);
        std::str::from_utf8(&texts[..end?]).ok()
    }

    /// Appends the normalised text.
    pub(super) fn append(&self, text: &str, out: &mut String) {
        if self.section.is_empty() {
            return out.push_str(text);
        }
        let mut rest = text;
        while !rest.is_empty() {
            rest = &rest[self.append_single(rest, out)..];
            let (clusters, after) = rest.split_at(clustered(rest));
            for cluster in clusters.graphemes(true) {
                self.append_cluster(cluster, out);
            }
            rest = after;
        }
    }

    /// Appends characters that are clusters of their own. Returns the number of their bytes.
    fn append_single(&self, text: &str, out: &mut String) -> usize {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let plain = bytes[at..]
                .iter()
                .position(|&b| !self.plain[usize::from(b)]);
            let plain = plain.unwrap_or(bytes.len() - at);
            // The last one may belong to a cluster with what follows.
            let sure = match text[at + plain..].chars().next() {
                Some(next) if !is_single(next) => plain.saturating_sub(1),
                _ => plain,
            };
            out.push_str(&text[at..at + sure]);
            at += sure;
            let mut chars = text[at..].chars();
            let (Some(c), next) = (chars.next(), chars.next()) else {
                break;
            };
            if !is_single(c) || !next.is_none_or(is_single) {
                break;
            }
            self.append_cluster(&text[at..at + c.len_utf8()], out);
            at += c.len_utf8();
        }
        at
    }

    fn append_cluster(&self, cluster: &str, out: &mut String) {
        if cluster.len() < WHOLE
            && let Some(replacement) = self.replacement(cluster.as_bytes())
        {
            return out.push_str(replacement);
        }
        for c in cluster.chars() {
            let mut buffer = [0; 4];
            let text = c.encode_utf8(&mut buffer);
            out.push_str(self.replacement(text.as_bytes()).unwrap_or(text));
        }
    }
}

/// Bytes up to a place between two characters that are clusters of their own, or to the end.
fn clustered(text: &str) -> usize {
    let mut before = false;
    for (at, c) in text.char_indices() {
        let single = is_single(c);
        if before && single {
            return at;
        }
        before = single;
    }
    text.len()
}

/// Characters that never share a cluster with one another, in ranges: ASCII without the carriage
/// return, and the letters of the most frequent scripts without their marks.
const SINGLE: [(char, char); 22] = [
    ('\0', '\u{c}'),
    ('\u{e}', '\u{7f}'),
    ('\u{a0}', '\u{a8}'),
    ('\u{aa}', '\u{ad}'),
    ('\u{af}', '\u{2ff}'),
    ('\u{370}', '\u{377}'),
    ('\u{391}', '\u{3a1}'),
    ('\u{3a3}', '\u{482}'),
    ('\u{48a}', '\u{52f}'),
    ('\u{531}', '\u{556}'),
    ('\u{561}', '\u{587}'),
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{64a}'),
    ('\u{671}', '\u{6d3}'),
    ('\u{10d0}', '\u{10ff}'),
    ('\u{2010}', '\u{2027}'),
    ('\u{3001}', '\u{3029}'),
    ('\u{3041}', '\u{3096}'),
    ('\u{30a0}', '\u{30ff}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
    ('\u{ff01}', '\u{ff9d}'),
];

fn is_single(c: char) -> bool {
    if c < '\u{80}' {
        return c != '\r';
    }
    let next = SINGLE.partition_point(|&(first, _)| first <= c);
    next > 0 && c <= SINGLE[next - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trie of one text without common prefixes: units at the places that the bytes lead to.
    fn charsmap(entries: &[(&str, &str)]) -> Vec<u8> {
        // Each state has 256 units, so that no two collide.
        let mut states: Vec<Vec<(u8, usize)>> = vec![Vec::new()];
        let mut values: Vec<Option<usize>> = vec![None];
        let mut texts = Vec::new();
        for (key, value) in entries {
            let mut state = 0;
            for &byte in key.as_bytes() {
                let known = states[state].iter().find(|(label, _)| *label == byte);
                state = match known {
                    Some(&(_, next)) => next,
                    None => {
                        states.push(Vec::new());
                        values.push(None);
                        let next = states.len() - 1;
                        states[state].push((byte, next));
                        next
                    }
                };
            }
            values[state] = Some(texts.len());
            texts.extend(value.bytes().chain([0]));
        }
        // State s lies at 256 (s + 1); the root's unit is unit 0.
        let place = |state: usize| 256 * (state + 1);
        let leaf = |state: usize| u32::from(values[state].is_some()) << 8;
        let mut units = vec![0xFFu32; place(states.len())];
        let offset = |from: usize, to: usize| ((from ^ to) as u32) << 10;
        units[0] = offset(0, place(0));
        for (state, edges) in states.iter().enumerate() {
            for &(label, next) in edges {
                let at = place(state) ^ usize::from(label);
                units[at] = offset(at, place(next)) | leaf(next) | u32::from(label);
            }
            if let Some(value) = values[state] {
                units[place(state)] = 1 << 31 | value as u32;
            }
        }
        let mut bytes = (4 * units.len() as u32).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(texts);
        bytes
    }

    fn open(bytes: &[u8]) -> Charsmap {
        Charsmap::open(Blob::copy_from(bytes)).unwrap()
    }

    fn normalized(map: &Charsmap, text: &str) -> String {
        let mut out = String::new();
        map.append(text, &mut out);
        out
    }

    #[test]
    fn clusters_are_replaced_by_their_shortest_prefix() {
        let map = open(&charsmap(&[
            ("a\u{308}", "\u{e4}"),
            ("\u{fb01}", "fi"),
            ("\r", " "),
            ("\u{7}", ""),
            ("x", "y"),
        ]));
        assert_eq!(map.check(), Ok(()));
        for (text, expected) in [
            ("plain words", "plain words"),
            ("ba\u{308}c a", "b\u{e4}c a"),
            // The rest of the cluster goes with its prefix, unless the cluster has six bytes.
            ("\u{fb01}\u{301}.", "fi."),
            ("\u{fb01}\u{301}\u{301}.", "fi\u{301}\u{301}."),
            ("a\u{308}\u{301}\u{301}", "a\u{308}\u{301}\u{301}"),
            ("1\r\n2\r3", "1 2 3"),
            ("bell\u{7}s", "bells"),
            ("x\u{301}xx", "yyy"),
            ("\0x\0", "\0y\0"),
            ("\u{1f1e9}\u{1f1ea}x", "\u{1f1e9}\u{1f1ea}y"),
        ] {
            assert_eq!(normalized(&map, text), expected, "{text:?}");
        }
        assert_eq!(normalized(&open(&[]), "a\u{308}\r\n"), "a\u{308}\r\n");
    }

    #[test]
    fn damage_changes_no_more_than_the_text() {
        let sound = charsmap(&[("a\u{308}", "\u{e4}"), ("x", "y")]);
        for at in (0..sound.len()).filter(|at| at % 7 == 0 || sound[*at] != 0) {
            for value in [0xFF, 0x80, 1] {
                let mut bytes = sound.clone();
                bytes[at] = value;
                if let Ok(map) = Charsmap::open(Blob::copy_from(&bytes)) {
                    let text = normalized(&map, "x a\u{308} \u{e9}xx");
                    assert!(text.len() < 20 * LONGEST);
                    let _ = map.check();
                }
            }
        }
        for bytes in [&[1, 0, 0][..], &[8, 0, 0, 0, 1, 2, 3, 4], &[0; 8]] {
            assert!(Charsmap::open(Blob::copy_from(bytes)).is_err());
        }
        let long = open(&charsmap(&[("x", &"y".repeat(LONGEST + 1))]));
        assert!(long.check().is_err());
        assert_eq!(normalized(&long, "x"), "x");
    }

    #[test]
    fn single_characters_share_no_cluster() {
        let all = |(first, last): (char, char)| first..=last;
        let boundary = |a: char, b: char| {
            let pair: String = [a, b].into_iter().collect();
            pair.graphemes(true).count() == 2
        };
        let samples = SINGLE.map(|(first, _)| first);
        for c in SINGLE.into_iter().flat_map(all) {
            assert!(is_single(c));
            assert!(boundary(c, c), "{c:?}");
            for &sample in &samples {
                assert!(boundary(c, sample) && boundary(sample, c), "{c:?}");
            }
        }
        assert!(!is_single('\r') && !is_single('\u{301}') && !is_single('\u{1100}'));
        assert!(!is_single('\u{d7a4}') && !is_single('\u{3030}') && !is_single('\u{10ffff}'));
    }

    /// Cutting a text at single characters gives the clusters of the whole text.
    #[test]
    fn clusters_do_not_depend_on_the_cuts() {
        let alphabet: Vec<char> = "a\u{301}\r\n \u{430}\u{200d}\u{1f468}\u{1f1e9}\
            \u{600}\u{915}\u{94d}\u{ac00}\u{11a8}\u{4e00}"
            .chars()
            .collect();
        let mut state = 1u32;
        for _ in 0..20_000 {
            let text: String = (0..9)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    alphabet[(state >> 16) as usize % alphabet.len()]
                })
                .collect();
            let mut at = 0;
            let mut ends = Vec::new();
            while at < text.len() {
                let len = clustered(&text[at..]);
                ends.extend(
                    text[at..at + len]
                        .grapheme_indices(true)
                        .map(|(i, _)| at + i),
                );
                at += len;
            }
            let whole: Vec<usize> = text.grapheme_indices(true).map(|(i, _)| i).collect();
            assert_eq!(ends, whole, "{text:?}");
        }
    }
}
