//! From a word to ids: the longest piece, then the longest continuing piece, and so on.

use super::bytes::Key;
use super::vocab::VocabView;

/// Room before a word for the prefix of continuing pieces. The prefix overwrites bytes that are
/// matched already, so that every lookup reads the piece's own bytes.
pub const HEAD: usize = 16;

/// Collects ids.
pub struct Ids<'a> {
    /// Has spare room after `len`.
    ids: &'a mut Vec<u32>,
    /// Number of ids before the first push.
    start: usize,
    len: usize,
    end: usize,
    count: usize,
}

impl<'a> Ids<'a> {
    /// Stores at most `limit` ids and counts the rest. Makes room for `expected`.
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

    /// Appends the first `count` ids. The rest is written too and overwritten later.
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
        // Doubles what was appended here, not all: many short texts may share the buffer.
        let appended = self.len - self.start;
        self.ids.resize(self.len + appended + 2 * few.len(), 0);
        self.ids[self.len..self.len + few.len()].copy_from_slice(few);
    }

    /// Appends all ids of a buffer and empties it.
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

    /// Appends an id.
    pub fn push(&mut self, id: u32) {
        self.push_few(&[id], 1);
    }

    /// Trims the buffer and returns the number of ids.
    pub fn finish(self) -> usize {
        self.ids.truncate(self.len);
        self.count
    }
}

/// The vocabulary, and the id of words that it cannot spell.
#[derive(Clone, Copy)]
pub struct WordPiece<'a> {
    /// The pieces.
    pub vocab: VocabView<'a>,
    /// Length of the continuing prefix, the last bytes of `head`.
    pub prefix: usize,
    /// The prefix, right-aligned before the rest of a word.
    pub head: [u8; HEAD],
    /// The id of a word that no sequence of pieces spells.
    pub unk: u32,
}

impl WordPiece<'_> {
    /// Appends the ids of the word `buffer[HEAD..end]`. Overwrites it.
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
