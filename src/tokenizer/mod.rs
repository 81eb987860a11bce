//! WordPiece, with the ids of Hugging Face's `tokenizers`.
//!
//! Words are found in the text as it is, 64 bytes at a time; those met before have their ids at hand
//! ([`TokenizerScratch`]), the others are normalised character by character and looked up, without a
//! copy of the text. The vocabulary lies in the model file as four sections which are used in place;
//! [`mod@crate::format`] has their bytes.

mod added;
mod bytes;
mod config;
mod error;
mod lookup;
mod memo;
mod normalize;
mod pair;
mod pretokenize;
mod scan;
mod tables;
mod tables_expand;
mod vocab;
mod wordpiece;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use added::AddedTokens;
use bytes::Key;
use config::Record;
use pretokenize::{ByteTable, Rules, Splitter};
use vocab::Vocab;
use wordpiece::{HEAD, Ids, WordPiece};

use crate::format::storage::Blob;

pub use config::{AddedToken, TokenizerConfig};
pub use error::TokenizerError;
pub(crate) use normalize::{is_space, stands_alone};
pub use pair::{Encoding, Truncation, TruncationSide, truncate_pair};
pub use pretokenize::TokenizerScratch;

/// A vocabulary and its rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
    special_as_text: bool,
}

#[derive(Debug)]
struct Shared {
    record: Record,
    added: AddedTokens,
    vocab: Vocab,
    /// Ends with the continuing prefix.
    head: [u8; HEAD],
    table: ByteTable,
    /// Distinguishes this tokenizer from all others of the process.
    number: u64,
    sections: TokenizerSections,
    /// What `encode` and `encode_pair` leave for the next call.
    scratch: Mutex<Vec<TokenizerScratch>>,
}

/// How many tokenizers there have been.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A tokenizer as it lies in a model file.
#[derive(Debug, Clone)]
pub struct TokenizerSections {
    /// `tokenizer.config`: rules, special ids, added tokens.
    pub config: Blob,
    /// `tokenizer.text`: the pieces.
    pub text: Blob,
    /// `tokenizer.offsets`: where each begins.
    pub offsets: Blob,
    /// `tokenizer.lookup`: the perfect hash.
    pub lookup: Blob,
}

impl Tokenizer {
    /// Reads a `vocab.txt`, one piece a line; white space at the ends of lines is dropped.
    ///
    /// # Errors
    /// Where [`Tokenizer::from_pieces`] gives one, or the file is not UTF-8.
    pub fn from_vocab_txt(vocab: &[u8], config: &TokenizerConfig) -> Result<Self, TokenizerError> {
        Self::from_pieces(&vocab::read_vocab_txt(vocab)?, config)
    }

    /// Takes the pieces in the order of their ids. Of equal pieces only the last is ever produced.
    ///
    /// # Errors
    /// When the vocabulary or the rules break a limit, or a special token has no id.
    pub fn from_pieces(
        pieces: &[impl AsRef<str>],
        config: &TokenizerConfig,
    ) -> Result<Self, TokenizerError> {
        let vocab = Vocab::build(pieces)?;
        let view = vocab.view();
        let record = Record::from_config(config, pieces.len(), |s| {
            view.find(Key::new(s.as_bytes(), s.len()))
        })?;
        let section = Blob::copy_from(&record.write());
        Ok(Self::assemble(record, vocab, section))
    }

    /// Uses a model file's sections in place.
    ///
    /// # Errors
    /// When a section has the wrong length or a header field is out of range. Damage elsewhere gives
    /// wrong ids, never one outside the vocabulary.
    pub fn from_sections(s: TokenizerSections) -> Result<Self, TokenizerError> {
        let record = Record::read(&s.config)?;
        let vocab = Vocab::open(record.pieces as usize, s.text, s.offsets, s.lookup)?;
        Ok(Self::assemble(record, vocab, s.config))
    }

    fn assemble(record: Record, vocab: Vocab, config: Blob) -> Self {
        let [text, offsets, lookup] = vocab.sections().map(Blob::clone);
        let mut head = [0; HEAD];
        head[HEAD - record.prefix.len()..].copy_from_slice(record.prefix.as_bytes());
        let shared = Shared {
            added: AddedTokens::new(record.added.clone()),
            table: ByteTable::new(record.steps),
            record,
            head,
            vocab,
            number: MADE.fetch_add(1, Ordering::Relaxed) + 1,
            sections: TokenizerSections {
                config,
                text,
                offsets,
                lookup,
            },
            scratch: Mutex::default(),
        };
        Tokenizer {
            shared: Arc::new(shared),
            special_as_text: false,
        }
    }

    /// The bytes to write into a model file.
    pub fn sections(&self) -> &TokenizerSections {
        &self.shared.sections
    }

    /// The rules.
    pub fn config(&self) -> TokenizerConfig {
        let record = &self.shared.record;
        let text = |id: u32| self.token(id).unwrap_or_default().to_owned();
        TokenizerConfig {
            lowercase: record.steps.lowercase,
            strip_accents: record.steps.strip_accents,
            clean_text: record.steps.clean_text,
            handle_chinese_chars: record.steps.handle_chinese_chars,
            max_input_chars_per_word: record.max_word_chars,
            continuing_subword_prefix: record.prefix.clone(),
            unk_token: text(record.unk),
            cls_token: text(record.cls),
            sep_token: text(record.sep),
            pad_token: text(record.pad),
            mask_token: record.mask.map(text),
            added_tokens: record
                .added
                .iter()
                .map(|(token, _)| token.clone())
                .collect(),
        }
    }

    /// Number of ids: they are smaller than this.
    pub fn vocab_size(&self) -> usize {
        self.shared.record.vocab_size()
    }

    /// Looks every piece up, which opening leaves out because only wrong ids would come of it.
    ///
    /// # Errors
    /// Names the first piece that is not UTF-8 or is not found.
    pub fn check(&self) -> Result<(), TokenizerError> {
        match self.shared.vocab.view().first_lost() {
            None => Ok(()),
            Some(id) => Err(TokenizerError::Section {
                section: "tokenizer.lookup",
                reason: format!("piece {id} is not text or is not found"),
            }),
        }
    }

    /// The text of a token; `None` where there is no such id.
    pub fn token(&self, id: u32) -> Option<&str> {
        self.shared.added.token(id).or_else(|| {
            let piece = self.shared.vocab.view().piece(id)?;
            std::str::from_utf8(piece).ok()
        })
    }

    /// The id of a token, continuing prefix included.
    pub fn id(&self, token: &str) -> Option<u32> {
        let added = self.shared.added.id(token);
        added.or_else(|| {
            self.shared
                .vocab
                .view()
                .find(Key::new(token.as_bytes(), token.len()))
        })
    }

    /// Whether special tokens that stand in a text are treated like any other text, as they should be
    /// where it comes from strangers. Off at first, as in Hugging Face's `tokenizers`. Added tokens
    /// that are not special stay tokens.
    #[must_use]
    pub fn special_tokens_as_text(self, yes: bool) -> Self {
        Tokenizer {
            special_as_text: yes,
            ..self
        }
    }

    /// Id of the token in front of everything.
    pub fn cls_id(&self) -> u32 {
        self.shared.record.cls
    }

    /// Id of the token after each text.
    pub fn sep_id(&self) -> u32 {
        self.shared.record.sep
    }

    /// Id of the unknown token.
    pub fn unk_id(&self) -> u32 {
        self.shared.record.unk
    }

    /// Id of the padding token.
    pub fn pad_id(&self) -> u32 {
        self.shared.record.pad
    }

    /// Appends a text's ids, without special tokens around them, and returns how many there are: at
    /// most `limit` are stored, the rest only counted.
    pub fn tokenize_into(
        &self,
        text: &str,
        limit: usize,
        scratch: &mut TokenizerScratch,
        ids: &mut Vec<u32>,
    ) -> usize {
        let added = &self.shared.added;
        let mut splitter = Splitter::new(self.rules(), scratch);
        let mut ids = Ids::new(ids, limit, text.len() / 4);
        let mut done = 0;
        for found in added.matches(text, self.special_as_text) {
            splitter.text(text.get(done..found.start).unwrap_or_default(), &mut ids);
            ids.push(found.id);
            done = found.end;
        }
        splitter.text(&text[done..], &mut ids);
        ids.finish()
    }

    fn rules(&self) -> Rules<'_> {
        let Shared {
            record,
            vocab,
            head,
            table,
            number,
            ..
        } = &*self.shared;
        Rules {
            steps: record.steps,
            table,
            max_chars: record.max_word_chars as usize,
            wordpiece: WordPiece {
                vocab: vocab.view(),
                prefix: record.prefix.len(),
                head: *head,
                unk: record.unk,
            },
            vocabulary: *number,
        }
    }

    /// Lends memory that earlier calls have left, so that their words are known.
    fn with_scratch<T>(&self, work: impl FnOnce(&mut TokenizerScratch) -> T) -> T {
        let lock = || {
            self.shared
                .scratch
                .lock()
                .unwrap_or_else(|e| e.into_inner())
        };
        let mut scratch = lock().pop().unwrap_or_default();
        let result = work(&mut scratch);
        lock().push(scratch);
        result
    }

    /// `[CLS] text [SEP]`, cut to `max_length`; the two special tokens are always there.
    pub fn encode(&self, text: &str, max_length: usize) -> Encoding {
        let budget = max_length.saturating_sub(2);
        let mut ids = vec![self.cls_id()];
        let count =
            self.with_scratch(|scratch| self.tokenize_into(text, budget, scratch, &mut ids));
        ids.push(self.sep_id());
        Encoding {
            type_ids: vec![0; ids.len()],
            ids,
            truncation: Truncation {
                query_tokens: count.saturating_sub(budget),
                passage_tokens: 0,
            },
        }
    }

    /// `[CLS] a [SEP] b [SEP]`, cut to `max_length` with the longer text cut first; the three special
    /// tokens are always there.
    pub fn encode_pair(&self, a: &str, b: &str, max_length: usize) -> Encoding {
        let budget = max_length.saturating_sub(3);
        let mut ids = Vec::with_capacity(8 + budget.min((a.len() + b.len()) / 2));
        ids.push(self.cls_id());
        let (a_count, a_end, b_count) = self.with_scratch(|scratch| {
            let a_count = self.tokenize_into(a, budget, scratch, &mut ids);
            let a_end = ids.len();
            ids.push(self.sep_id());
            let b_count = self.tokenize_into(b, budget, scratch, &mut ids);
            (a_count, a_end, b_count)
        });
        let (a_kept, b_kept) = truncate_pair(a_count, b_count, budget);
        ids.truncate(a_end + 1 + b_kept);
        ids.push(self.sep_id());
        ids.drain(1 + a_kept..a_end);
        let mut type_ids = vec![1; ids.len()];
        type_ids[..a_kept + 2].fill(0);
        Encoding {
            ids,
            type_ids,
            truncation: Truncation {
                query_tokens: a_count - a_kept,
                passage_tokens: b_count - b_kept,
            },
        }
    }
}
