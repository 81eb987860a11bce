//! Unigram: from a text between added tokens to ids, as SentencePiece's models have it.
//!
//! The text is normalised, then cut into words, each with `▁` in front. A word's pieces are those
//! of the highest total score (Viterbi's algorithm, in f64, in the order of `tokenizers`). A
//! character that is no piece is unknown; neighbouring unknown ones are one token.

use super::bytes::{Key, le_u64};
use super::charsmap::Charsmap;
use super::lookup::MAX_PIECE_BYTES;
use super::memo;
use super::rules::{Spaces, UnigramRules};
use super::scratch::{LONG, SHORT, Step, TokenizerScratch};
use super::trie::Trie;
use super::vocab::VocabView;
use super::wordpiece::Ids;
use crate::error::TokenizerError;
use crate::format::storage::Blob;

/// What every word begins with, and what a text may hold in place of a space.
pub(super) const MARK: &str = "\u{2581}";
/// The score of an unknown character is the least score less this.
const UNKNOWN: f64 = 10.0;
/// Bytes that are searched before the path so far is looked for.
const PORTION: usize = 4096;
/// Memory of each buffer that is kept for the next text.
const KEPT: usize = 1 << 15;
/// Total scores that a search needs at once: a piece ends at most 255 bytes after its start.
const SCORES: usize = MAX_PIECE_BYTES + 1;

/// A Unigram's own sections.
#[derive(Debug, Clone)]
pub struct UnigramSections {
    /// `tokenizer.scores`: the pieces' scores, and that of an unknown character.
    pub scores: Blob,
    /// `tokenizer.trie`: finds the pieces that a text begins with.
    pub trie: Blob,
    /// `tokenizer.charsmap`: the normaliser.
    pub charsmap: Blob,
}

/// The checked sections of a Unigram.
#[derive(Debug, Clone)]
pub(super) struct Unigram {
    rules: UnigramRules,
    scores: Blob,
    trie: Trie,
    charsmap: Charsmap,
    /// For each byte, whether a character that ends a word may begin with it.
    ends: [bool; 256],
}

/// The bytes of `tokenizer.scores`.
///
/// # Errors
/// If a score is not finite.
pub(super) fn scores(scores: &[f64]) -> Result<Vec<u8>, TokenizerError> {
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    if !scores.iter().all(|score| score.is_finite()) {
        return Err(wrong("a score is not a finite number".into()));
    }
    let all = scores.iter().copied().chain([least - UNKNOWN]);
    Ok(all.flat_map(f64::to_le_bytes).collect())
}

fn wrong(reason: String) -> TokenizerError {
    TokenizerError::Section {
        section: "tokenizer.scores",
        reason,
    }
}

impl Unigram {
    /// Checks the sections' lengths.
    pub(super) fn open(
        rules: UnigramRules,
        pieces: usize,
        sections: UnigramSections,
    ) -> Result<Self, TokenizerError> {
        let expected = 8 * (pieces + 1);
        if sections.scores.len() != expected {
            let len = sections.scores.len();
            return Err(wrong(format!("{len} bytes instead of {expected}")));
        }
        let mut ends = [false; 256];
        let spaces = ('\0'..='\u{3000}').filter(|&c| rules.ends_word(c));
        for c in spaces.chain(MARK.chars()) {
            ends[usize::from(c.encode_utf8(&mut [0; 4]).as_bytes()[0])] = true;
        }
        Ok(Unigram {
            rules,
            scores: sections.scores,
            trie: Trie::open(sections.trie)?,
            charsmap: Charsmap::open(sections.charsmap)?,
            ends,
        })
    }

    /// The sections.
    pub(super) fn sections(&self) -> UnigramSections {
        UnigramSections {
            scores: self.scores.clone(),
            trie: self.trie.section().clone(),
            charsmap: self.charsmap.section().clone(),
        }
    }

    /// Reads all scores and replacements, and looks up every piece. Opening skips this.
    ///
    /// # Errors
    /// Names what is wrong.
    pub(super) fn check(&self, vocab: VocabView<'_>) -> Result<(), TokenizerError> {
        for id in 0..vocab.len() as u32 {
            let piece = vocab.piece(id).unwrap_or_default();
            let mut last = None;
            self.trie
                .each_prefix(piece, |id, len| last = Some((id, len)));
            // Of equal pieces the last is found.
            let found = vocab.find(Key::new(piece, piece.len()));
            if last
                .filter(|&(_, len)| len == piece.len())
                .map(|(id, _)| id)
                != found
            {
                return Err(TokenizerError::Section {
                    section: "tokenizer.trie",
                    reason: format!("piece {id} is not found"),
                });
            }
        }
        let all: Vec<f64> = (0..vocab.len()).map(|id| self.score(id)).collect();
        if scores(&all)? != *self.scores {
            return Err(wrong(
                "the last is not the least of the others less 10".into(),
            ));
        }
        self.charsmap.check()
    }

    /// The score of a piece, or after them of an unknown character.
    fn score(&self, id: usize) -> f64 {
        f64::from_bits(le_u64(&self.scores, 8 * id))
    }

    /// Puts the normalised text into `out`.
    pub(super) fn normalize(&self, text: &str, out: &mut String) {
        out.clear();
        self.charsmap.append(text, out);
        if self.rules.strip_right {
            out.truncate(out.trim_end().len());
        }
        if self.rules.strip_left {
            out.drain(..out.len() - out.trim_start().len());
        }
        match self.rules.spaces {
            Spaces::Kept => {}
            Spaces::One => replace_spaces(out, " "),
            Spaces::Mark => replace_spaces(out, MARK),
        }
    }
}

/// Replaces each run of two spaces or more.
fn replace_spaces(text: &mut String, by: &str) {
    let (mut replaced, mut done) = (String::new(), 0);
    while let Some(at) = text[done..].find("  ") {
        let (before, spaces) = text[done..].split_at(at);
        replaced.push_str(before);
        replaced.push_str(by);
        done = text.len() - spaces.trim_start_matches(' ').len();
    }
    if done > 0 {
        replaced.push_str(&text[done..]);
        *text = replaced;
    }
}

/// A pass over a normalised text.
pub(super) struct WordReader<'a> {
    unigram: &'a Unigram,
    vocab: VocabView<'a>,
    unk: u32,
    scratch: &'a mut TokenizerScratch,
}

impl<'a> WordReader<'a> {
    /// `vocabulary` is the number of the vocabulary, `unk` the id of unknown characters.
    pub(super) fn new(
        unigram: &'a Unigram,
        vocab: VocabView<'a>,
        unk: u32,
        vocabulary: u64,
        scratch: &'a mut TokenizerScratch,
    ) -> Self {
        scratch.prepare_cache(vocabulary);
        WordReader {
            unigram,
            vocab,
            unk,
            scratch,
        }
    }

    /// Reads a text that is not normalised.
    pub(super) fn text(&mut self, text: &str, ids: &mut Ids) {
        let mut normalized = std::mem::take(&mut self.scratch.normalized);
        self.unigram.normalize(text, &mut normalized);
        self.words(&normalized, ids);
        normalized.clear();
        normalized.shrink_to(KEPT);
        self.scratch.normalized = normalized;
    }

    /// Reads the words of a normalised text.
    pub(super) fn words(&mut self, text: &str, ids: &mut Ids) {
        let bytes = text.as_bytes();
        // `▁` begins a word even if nothing follows it.
        let (mut start, mut at, mut marked) = (0, 0, false);
        while let Some(skip) = bytes[at..]
            .iter()
            .position(|&b| self.unigram.ends[usize::from(b)])
        {
            at += skip;
            let Some(c) = text[at..].chars().next() else {
                break;
            };
            let mark = text[at..].starts_with(MARK);
            if mark || self.unigram.rules.ends_word(c) {
                self.some_word(&text[start..at], marked, ids);
                marked = mark || !self.unigram.rules.split_whitespace;
                start = at + c.len_utf8();
            }
            at += c.len_utf8();
        }
        self.some_word(&text[start..], marked, ids);
    }

    /// Reads a word, without the `▁` in front of it.
    fn some_word(&mut self, word: &str, marked: bool, ids: &mut Ids) {
        if word.is_empty() && !marked {
            return;
        }
        // Words in the cache are padded with zeros, and places without a word are all zeros.
        if word.is_empty() || word.len() > LONG || word.ends_with('\0') {
            return self.search(word, ids);
        }
        let mut padded = [[0; 8]; LONG / 8];
        padded.as_flattened_mut()[..word.len()].copy_from_slice(word.as_bytes());
        if word.len() <= SHORT {
            let key = memo::key(&[padded[0], padded[1]], word.len());
            if let Some(known) = self.scratch.short_words.get(&key) {
                return ids.push_few(&known.ids, known.count);
            }
            self.path(word);
            let scratch = &mut *self.scratch;
            scratch.short_words.insert(&key, &scratch.pieces);
        } else {
            let key = memo::key(&padded, word.len());
            if let Some(known) = self.scratch.long_words.get(&key) {
                return ids.push_few(&known.ids, known.count);
            }
            self.path(word);
            let scratch = &mut *self.scratch;
            scratch.long_words.insert(&key, &scratch.pieces);
        }
        ids.take(&mut self.scratch.pieces);
    }

    /// Puts the ids of a short word into `scratch.pieces`.
    fn path(&mut self, word: &str) {
        let mut pieces = std::mem::take(&mut self.scratch.pieces);
        let mut ids = Ids::new(&mut pieces, usize::MAX, word.len());
        self.search(word, &mut ids);
        ids.finish();
        self.scratch.pieces = pieces;
    }

    /// Appends the ids of the best path through a word.
    #[inline(never)]
    fn search(&mut self, word: &str, ids: &mut Ids) {
        let mut text = std::mem::take(&mut self.scratch.word);
        let mut steps = std::mem::take(&mut self.scratch.steps);
        text.clear();
        text.extend(MARK.as_bytes());
        text.extend(word.as_bytes());
        let mut search = Search {
            reader: self,
            text: &text,
            steps: &mut steps,
            scores: [0.0; SCORES],
            unknown: None,
        };
        search.run(ids);
        text.clear();
        text.shrink_to(KEPT);
        steps.shrink_to(KEPT / 4);
        (self.scratch.word, self.scratch.steps) = (text, steps);
    }
}

/// A search for the best path through a word.
struct Search<'a, 'b> {
    reader: &'a WordReader<'b>,
    text: &'a [u8],
    /// The last step of the best path to each place from the last one that was looked for on.
    steps: &'a mut Vec<Step>,
    /// The total score of the best path to each place, by its low byte.
    scores: [f64; SCORES],
    /// Where the unknown token so far begins.
    unknown: Option<usize>,
}

impl Search<'_, '_> {
    fn run(&mut self, ids: &mut Ids) {
        let end = self.text.len();
        let (mut base, mut reach) = (0, 0);
        let mut at = 0;
        while at < end {
            // All paths meet where no piece reaches farther.
            if at - base >= PORTION && reach <= at {
                self.append(base, at, ids);
                base = at;
            }
            reach = reach.max(self.extend(base, at));
            at += char_len(self.text[at]).min(end - at);
        }
        self.append(base, end, ids);
        self.end_unknown(end, ids);
    }

    /// Tries all pieces that begin at `at`. Returns the farthest end.
    fn extend(&mut self, base: usize, at: usize) -> usize {
        let WordReader {
            unigram,
            vocab,
            unk,
            ..
        } = self.reader;
        let rest = &self.text[at..];
        let pieces = vocab.len() as u32;
        let character = char_len(rest[0]).min(rest.len());
        let before = self.scores[at % SCORES];
        let (mut single, mut farthest) = (false, 0);
        let needed = at - base + rest.len().min(MAX_PIECE_BYTES) + 1;
        if self.steps.len() < needed {
            self.steps
                .resize(needed.next_multiple_of(SCORES), Step::default());
        }
        let (steps, scores) = (&mut *self.steps, &mut self.scores);
        let mut propose = |id: u32, len: usize, score: f64| {
            let step = &mut steps[at - base + len];
            let total = score + before;
            let best = &mut scores[(at + len) % SCORES];
            if step.len() == 0 || total > *best {
                *step = Step::new(id, len);
                *best = total;
            }
            farthest = farthest.max(len);
        };
        unigram.trie.each_prefix(rest, |id, len| {
            if id < pieces {
                single |= len == character;
                propose(id, len, unigram.score(id as usize));
            }
        });
        if !single {
            let unknown = unigram.score(pieces as usize);
            propose(*unk, character, unknown);
        }
        at + farthest
    }

    /// Appends the ids of the best path from `base` to `end`, and forgets it.
    fn append(&mut self, base: usize, end: usize, ids: &mut Ids) {
        // The steps are turned around: each place gets the step that leaves it.
        let mut at = end - base;
        let mut next = Step::default();
        while at > 0 {
            let step = std::mem::replace(&mut self.steps[at], next);
            next = step;
            at = at.saturating_sub(step.len().max(1));
        }
        if let Some(first) = self.steps.first_mut() {
            *first = next;
        }
        let mut at = base;
        while at < end {
            let step = self.steps[at - base];
            if step.id() == self.reader.unk {
                self.unknown.get_or_insert(at);
            } else {
                self.end_unknown(at, ids);
                ids.push(step.id());
            }
            at += step.len().max(1);
        }
        self.steps.clear();
    }

    /// Appends the unknown token that ends at `end`, if there is one. A piece with its text is
    /// known after all.
    fn end_unknown(&mut self, end: usize, ids: &mut Ids) {
        if let Some(start) = self.unknown.take() {
            let piece = Key::new(&self.text[start..], end - start);
            ids.push(self.reader.vocab.find(piece).unwrap_or(self.reader.unk));
        }
    }
}

/// Bytes of the character that begins with this byte.
fn char_len(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}
