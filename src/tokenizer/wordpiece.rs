//! From a word to ids: greedily the longest piece, then the longest continuing piece, and so on.

use super::bytes::Key;
use super::vocab::VocabView;

/// Room before a word, for the prefix of continuing pieces: it is written over what has been matched
/// already, so that every lookup is of the piece's own bytes.
pub const HEAD: usize = 16;

/// Where ids go.
pub struct Ids<'a> {
    /// Longer than `len` by what was made room for.
    ids: &'a mut Vec<u32>,
    /// How many were there before.
    start: usize,
    len: usize,
    end: usize,
    count: usize,
}

impl<'a> Ids<'a> {
    /// Appends at most `limit` ids and counts the rest; `expected` of them are made room for.
    pub fn new(ids: &'a mut Vec<u32>, limit: usize, expected: usize) -> Self {
        let len = ids.len();
        ids.resize(len + expected.min(limit), 0);
        Ids {
            end: len.saturating_add(limit),
            ids,
            start: len,
            len,
            count: 0,
        }
    }

    /// The first `count` of some ids; those after them are written too, and then over.
    #[inline]
    pub fn push_few<const N: usize>(&mut self, few: &[u32; N], count: u32) {
        let room = self
            .ids
            .get_mut(self.len..)
            .and_then(<[u32]>::first_chunk_mut);
        match room {
            Some(room) => *room = *few,
            None => self.make_room(few),
        }
        self.count += count as usize;
        self.len = (self.len + count as usize).min(self.end);
    }

    #[cold]
    fn make_room(&mut self, few: &[u32]) {
        // Twice what was appended: twice all would cost each of many short texts as much as all before it.
        let appended = self.len - self.start;
        self.ids.resize(self.len + appended + 2 * few.len(), 0);
        self.ids[self.len..self.len + few.len()].copy_from_slice(few);
    }

    /// All of these, which are taken out of their buffer.
    pub fn take(&mut self, pieces: &mut Vec<u32>) {
        let kept = pieces.len().min(self.end - self.len);
        if self.ids.len() < self.len + kept {
            self.make_room(&pieces[..kept]);
        } else {
            self.ids[self.len..self.len + kept].copy_from_slice(&pieces[..kept]);
        }
        self.len += kept;
        self.count += pieces.len();
        pieces.clear();
    }

    /// One more id.
    pub fn push(&mut self, id: u32) {
        self.push_few(&[id], 1);
    }

    /// How many there were.
    pub fn finish(self) -> usize {
        self.ids.truncate(self.len);
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
    pub fn word(&self, buffer: &mut [u8], end: usize, ids: &mut Vec<u32>) {
        match self.vocab.find(Key::new(&buffer[HEAD..], end - HEAD)) {
            Some(id) => ids.push(id),
            None => self.pieces(buffer, end, ids),
        }
    }

    fn pieces(&self, buffer: &mut [u8], end: usize, ids: &mut Vec<u32>) {
        let before = ids.len();
        let (mut from, mut prefix) = (HEAD, 0);
        loop {
            let start = from - prefix;
            let key = Key::new(&buffer[start..], end - start);
            let Some((id, len)) = self.vocab.find_longest(key, prefix + 1) else {
                ids.truncate(before);
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
