//! The pieces: their text, their offsets, and the lookup from text to id.

use std::collections::HashMap;

use super::bytes::{Key, le_u16, le_u32};
use super::lookup::{self, Lookup, LookupHeader, MAX_PIECE_BYTES, MAX_PIECES};
use crate::error::TokenizerError;
use crate::format::storage::Blob;

/// Pieces that share one base in `tokenizer.offsets`.
const BLOCK: usize = 256;

/// A checked vocabulary.
#[derive(Debug, Clone)]
pub(super) struct Vocab {
    pieces: usize,
    header: LookupHeader,
    text: Blob,
    offsets: Blob,
    lookup: Blob,
}

/// The pieces of a `vocab.txt`, read like Hugging Face's `tokenizers`: one piece per line, without
/// trailing white space.
///
/// `tokenizers` takes a byte order mark for a part of the first piece, which no text contains then.
/// This is the same without the mark if that piece is `pad`. Otherwise it is an error.
pub(super) fn read_vocab_txt<'a>(
    bytes: &'a [u8],
    pad: &str,
) -> Result<Vec<&'a str>, TokenizerError> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let line = bytes[..e.valid_up_to()]
            .iter()
            .filter(|&&b| b == b'\n')
            .count()
            + 1;
        TokenizerError::NotUtf8 { line }
    })?;
    let unmarked = text.strip_prefix('\u{feff}');
    let pieces: Vec<&str> = unmarked
        .unwrap_or(text)
        .lines()
        .map(str::trim_end)
        .collect();
    match pieces.first() {
        Some(first) if unmarked.is_some() && *first != pad => {
            Err(TokenizerError::ByteOrderMark((*first).to_owned()))
        }
        _ => Ok(pieces),
    }
}

impl Vocab {
    /// Builds the three sections. Of equal pieces the last one counts.
    pub(super) fn build(pieces: &[impl AsRef<str>]) -> Result<Self, TokenizerError> {
        if pieces.is_empty() || pieces.len() > MAX_PIECES {
            return Err(TokenizerError::VocabularySize(pieces.len()));
        }
        let mut text = Vec::new();
        let (mut bases, mut relative) = (Vec::new(), Vec::new());
        for (id, piece) in pieces.iter().map(AsRef::as_ref).enumerate() {
            if piece.len() > MAX_PIECE_BYTES {
                return Err(TokenizerError::PieceTooLong {
                    id: id as u32,
                    bytes: piece.len(),
                });
            }
            push_offset(text.len(), id, &mut bases, &mut relative);
            text.extend(piece.as_bytes());
        }
        push_offset(text.len(), pieces.len(), &mut bases, &mut relative);
        let keys = distinct(pieces);
        let lookup = lookup::build(&keys, pieces.len())?;

        let mut offsets = Vec::new();
        offsets.extend(bases.iter().flat_map(|base: &u32| base.to_le_bytes()));
        offsets.extend(relative.iter().flat_map(|at: &u16| at.to_le_bytes()));
        let [text, offsets, lookup] = [text, offsets, lookup].map(|s| Blob::copy_from(&s));
        Self::open(pieces.len(), text, offsets, lookup)
    }

    /// Checks the sections' lengths and header fields. Contents are checked at each use.
    pub(super) fn open(
        pieces: usize,
        text: Blob,
        offsets: Blob,
        lookup: Blob,
    ) -> Result<Self, TokenizerError> {
        if pieces == 0 || pieces > MAX_PIECES {
            return Err(TokenizerError::VocabularySize(pieces));
        }
        let expected = 4 * (pieces / BLOCK + 1) + 2 * (pieces + 1);
        if offsets.len() != expected {
            return Err(TokenizerError::Section {
                section: "tokenizer.offsets",
                reason: format!("{} bytes instead of {expected}", offsets.len()),
            });
        }
        if text.len() > pieces * MAX_PIECE_BYTES {
            return Err(TokenizerError::Section {
                section: "tokenizer.text",
                reason: format!("{} bytes are too many for {pieces} pieces", text.len()),
            });
        }
        let header = LookupHeader::read(&lookup, pieces)?;
        Ok(Vocab {
            pieces,
            header,
            text,
            offsets,
            lookup,
        })
    }

    /// Text, offsets and lookup sections.
    pub(super) fn sections(&self) -> [&Blob; 3] {
        [&self.text, &self.offsets, &self.lookup]
    }

    /// The vocabulary as slices, for fast lookups.
    pub(super) fn view(&self) -> VocabView<'_> {
        let (bases, relative) = self.offsets.split_at(4 * (self.pieces / BLOCK + 1));
        VocabView {
            pieces: self.pieces as u32,
            text: &self.text,
            bases,
            relative,
            lookup: Lookup::new(self.header, &self.lookup),
        }
    }
}

/// The pieces that are found, and their ids, in the order of the ids: not the empty one, and of
/// equal ones the last.
pub(super) fn distinct(pieces: &[impl AsRef<str>]) -> Vec<(u32, &[u8])> {
    let pieces = pieces.iter().map(|piece| piece.as_ref().as_bytes());
    let mut last: HashMap<&[u8], u32> = pieces.zip(0..).collect();
    last.remove(&[][..]);
    let mut keys: Vec<(u32, &[u8])> = last.into_iter().map(|(key, id)| (id, key)).collect();
    keys.sort_unstable(); // the same bytes every time
    keys
}

fn push_offset(at: usize, id: usize, bases: &mut Vec<u32>, relative: &mut Vec<u16>) {
    if id.is_multiple_of(BLOCK) {
        bases.push(at as u32);
    }
    // At most 255 pieces of 255 bytes after the base.
    relative.push((at as u32 - bases[id / BLOCK]) as u16);
}

/// A vocabulary's bytes, borrowed.
#[derive(Clone, Copy)]
pub(super) struct VocabView<'a> {
    pieces: u32,
    text: &'a [u8],
    bases: &'a [u8],
    relative: &'a [u8],
    lookup: Lookup<'a>,
}

impl<'a> VocabView<'a> {
    #[inline]
    fn offset(&self, id: u32) -> usize {
        let base = le_u32(self.bases, 4 * (id as usize / BLOCK));
        let relative = le_u16(self.relative, 2 * id as usize);
        base as usize + usize::from(relative)
    }

    /// The bytes of a piece; `None` if the id is unknown or its offsets are damaged.
    pub(super) fn piece(&self, id: u32) -> Option<&'a [u8]> {
        if id >= self.pieces {
            return None;
        }
        self.text.get(self.offset(id)..self.offset(id + 1))
    }

    #[inline]
    fn is_piece(&self, id: u32, key: Key) -> bool {
        let start = self.offset(id);
        id < self.pieces
            && self.offset(id + 1).wrapping_sub(start) == key.len()
            && key.is_at(self.text, start)
    }

    /// The id of a piece.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        self.lookup.find(key, |id, key| self.is_piece(id, key))
    }

    /// Number of pieces.
    pub(super) fn len(&self) -> usize {
        self.pieces as usize
    }

    /// The first piece that is not UTF-8 or that the lookup does not find. Of equal pieces one is
    /// found; the empty piece never is.
    pub(super) fn first_lost(&self) -> Option<u32> {
        let found = |piece: &[u8]| {
            self.find(Key::new(piece, piece.len()))
                .and_then(|id| self.piece(id))
        };
        let whole = |piece: &[u8]| {
            std::str::from_utf8(piece).is_ok() && (piece.is_empty() || found(piece) == Some(piece))
        };
        (0..self.pieces).find(|&id| !self.piece(id).is_some_and(whole))
    }

    /// Id and length of the longest piece, of `min` bytes or more, that `key` starts with.
    #[inline]
    pub(super) fn find_longest(&self, key: Key, min: usize) -> Option<(u32, usize)> {
        self.lookup
            .find_longest(key, min, |id, key| self.is_piece(id, key))
    }
}
