//! From a word to ids: greedily the longest piece, then the longest continuing piece, and so on.

use super::bytes::Key;
use super::vocab::VocabView;

/// Room before a word, for the prefix of continuing pieces: it is written over what has been matched
/// already, so that every lookup is of the piece's own bytes.
pub const HEAD: usize = 16;

/// Where ids go.
pub struct Ids<'a> {
    ids: &'a mut Vec<u32>,
    end: usize,
    count: usize,
}

impl<'a> Ids<'a> {
    /// Pushes at most `limit` ids and counts the rest.
    pub fn new(ids: &'a mut Vec<u32>, limit: usize) -> Self {
        let end = ids.len().saturating_add(limit);
        Ids { ids, end, count: 0 }
    }

    /// One more id.
    pub fn push(&mut self, id: u32) {
        self.count += 1;
        if self.ids.len() < self.end {
            self.ids.push(id);
        }
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// The vocabulary and what a word becomes that has no pieces.
#[derive(Clone, Copy)]
pub struct WordPiece<'a> {
    /// The pieces.
    pub vocab: VocabView<'a>,
    /// In front of continuing pieces: the last bytes of `head`.
    pub prefix: usize,
    /// The prefix, as it stands before the rest of a word.
    pub head: [u8; HEAD],
    /// For a word that no sequence of pieces spells.
    pub unk: u32,
}

impl WordPiece<'_> {
    /// Ids of the word at `buffer[HEAD..end]`. Overwrites it.
    #[inline]
    pub fn word(&self, buffer: &mut [u8], end: usize, ids: &mut Ids) {
        match self.vocab.find(Key::new(&buffer[HEAD..], end - HEAD)) {
            Some(id) => ids.push(id),
            None => self.pieces(buffer, end, ids),
        }
    }

    fn pieces(&self, buffer: &mut [u8], end: usize, ids: &mut Ids) {
        let (stored, count) = (ids.ids.len(), ids.count);
        let (mut from, mut prefix) = (HEAD, 0);
        loop {
            let start = from - prefix;
            let key = Key::new(&buffer[start..], end - start);
            let Some((id, len)) = self.vocab.find_longest(key, prefix + 1) else {
                ids.ids.truncate(stored);
                ids.count = count;
                return ids.push(self.unk);
            };
            ids.push(id);
            from = start + len;
            if from == end {
                return;
            }
            prefix = self.prefix;
            buffer[from - HEAD..from].copy_from_slice(&self.head);
        }
    }
}
