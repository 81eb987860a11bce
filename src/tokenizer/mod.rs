//! WordPiece and Unigram, with the ids of Hugging Face's `tokenizers`.
//!
//! WordPiece is BERT's. The splitter finds words in the raw text, 64 bytes at a time, and
//! normalises those that it has not seen before. Unigram is SentencePiece's, as XLM-RoBERTa has it.
//! Its text is normalised whole and cut into words. Either way, words seen before have their ids in
//! a cache ([`TokenizerScratch`]). The vocabulary is four sections of the model file, a Unigram's
//! three more, used in place; [`mod@crate::format`] describes their bytes.
//!
//! # Checklist: another kind of tokenizer (BPE)
//!
//! Special tokens, truncation and positions are in `frame.rs` and do not depend on the kind. Added
//! tokens (`added.rs`) are found before the text is split, whatever the kind.
//!
//! 1. `src/tokenizer/NAME.rs`: from a text between added tokens to ids (`unigram.rs` is the
//!    pattern), and its sections' reader.
//! 2. `src/tokenizer/kind.rs`: the kind with its normaliser and its reader.
//! 3. `src/tokenizer/config.rs`, `rules.rs`: the kind in the record's version, and its rules.
//! 4. `src/model/open.rs`, `tools/convert/src/convert/mod.rs`: its sections.
//! 5. `tools/convert/src/import/huggingface/tokenizer_json.rs`: reading it from `tokenizer.json`.
//! 6. `src/format/FORMAT.md`: the kind's sections.

mod added;
mod bytes;
mod charsmap;
mod config;
mod frame;
mod kind;
mod lookup;
mod memo;
mod normalize;
mod pretokenize;
mod prompts;
mod rules;
mod scan;
mod scratch;
mod tables;
mod tables_expand;
mod trie;
mod unigram;
mod vocab;
mod wordpiece;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use added::AddedTokens;
use bytes::Key;
use config::Record;
use frame::FrameRules;
use kind::{Kind, Reader};
use vocab::Vocab;
use wordpiece::Ids;

use crate::format::storage::Blob;
use crate::sync::Pool;

pub use crate::error::TokenizerError;
pub use config::{AddedToken, TokenizerConfig};
pub use frame::{Encoding, Frame, Truncation, TruncationSide, truncate_pair};
pub(crate) use frame::{Positions, Token, TruncationPolicy};
pub(crate) use normalize::{is_space, stands_alone};
pub use prompts::{Prompts, Role};
pub use rules::{Spaces, TokenizerKind, UnigramRules};
pub use scratch::TokenizerScratch;
pub use unigram::UnigramSections;

/// A vocabulary and its rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
    positions: Positions,
    prompts: Arc<Prompts>,
    special_as_text: bool,
}

#[derive(Debug)]
struct Shared {
    record: Record,
    added: AddedTokens,
    vocab: Vocab,
    kind: Kind,
    /// Unique in the process.
    number: u64,
    sections: TokenizerSections,
    /// Memory that `encode` and `encode_pair` reuse.
    scratch: Pool<Buffers>,
}

/// Memory of `encode` and `encode_pair`.
#[derive(Debug, Default)]
struct Buffers {
    tokenizer: TokenizerScratch,
    first: Vec<u32>,
    second: Vec<u32>,
}

/// Number of tokenizers made so far.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Average bytes of text per token, a low guess. Used for reservations and portions, never for
/// results.
pub(crate) const BYTES_PER_TOKEN: usize = 4;

/// A tokenizer's sections in a model file.
#[derive(Debug, Clone)]
pub struct TokenizerSections {
    /// `tokenizer.config`: rules, special ids, added tokens.
    pub config: Blob,
    /// `tokenizer.text`: the pieces.
    pub text: Blob,
    /// `tokenizer.offsets`: the offset of each.
    pub offsets: Blob,
    /// `tokenizer.lookup`: the perfect hash.
    pub lookup: Blob,
    /// What a Unigram has in addition.
    pub unigram: Option<UnigramSections>,
}

impl Tokenizer {
    /// Reads a `vocab.txt`, one piece per line, without trailing white space.
    ///
    /// # Errors
    /// As [`Tokenizer::from_pieces`], or if the file is not UTF-8.
    pub fn from_vocab_txt(vocab: &[u8], config: &TokenizerConfig) -> Result<Self, TokenizerError> {
        Self::from_pieces(&vocab::read_vocab_txt(vocab, &config.pad_token)?, config)
    }

    /// Takes the pieces in the order of their ids. Of equal pieces only the last is ever produced.
    ///
    /// # Errors
    /// If the vocabulary or the rules break a limit, or a special token has no id.
    pub fn from_pieces(
        pieces: &[impl AsRef<str>],
        config: &TokenizerConfig,
    ) -> Result<Self, TokenizerError> {
        Self::build(pieces, config, None)
    }

    /// Takes a Unigram's pieces and scores in the order of their ids, and its normaliser:
    /// SentencePiece's `precompiled_charsmap`, or nothing. Of equal pieces only the last is ever
    /// produced.
    ///
    /// # Errors
    /// As [`Tokenizer::from_pieces`], or if the scores or the normaliser are not in order.
    pub fn from_unigram(
        pieces: &[impl AsRef<str>],
        scores: &[f64],
        charsmap: &[u8],
        config: &TokenizerConfig,
    ) -> Result<Self, TokenizerError> {
        let sections = UnigramSections {
            scores: Blob::copy_from(&unigram::scores(scores)?),
            trie: trie::build(&vocab::distinct(pieces))?,
            charsmap: Blob::copy_from(charsmap),
        };
        let tokenizer = Self::build(pieces, config, Some(sections))?;
        tokenizer.check()?;
        Ok(tokenizer)
    }

    fn build(
        pieces: &[impl AsRef<str>],
        config: &TokenizerConfig,
        unigram: Option<UnigramSections>,
    ) -> Result<Self, TokenizerError> {
        let vocab = Vocab::build(pieces)?;
        let view = vocab.view();
        let record = Record::from_config(config, pieces.len(), |s| {
            view.find(Key::new(s.as_bytes(), s.len()))
        })?;
        let section = Blob::copy_from(&record.write());
        Self::assemble(record, vocab, section, unigram)
    }

    /// Uses a model file's sections in place.
    ///
    /// # Errors
    /// If a section has the wrong length or a header field is out of range. Damage elsewhere gives
    /// wrong ids, never one outside the vocabulary.
    pub fn from_sections(s: TokenizerSections) -> Result<Self, TokenizerError> {
        let record = Record::read(&s.config)?;
        let vocab = Vocab::open(record.pieces as usize, s.text, s.offsets, s.lookup)?;
        Self::assemble(record, vocab, s.config, s.unigram)
    }

    fn assemble(
        record: Record,
        vocab: Vocab,
        config: Blob,
        unigram: Option<UnigramSections>,
    ) -> Result<Self, TokenizerError> {
        let [text, offsets, lookup] = vocab.sections().map(Blob::clone);
        let kind = Kind::open(&record, unigram)?;
        record.check_normalized(|text| kind.normalized(text))?;
        let shared = Shared {
            added: AddedTokens::new(&record.added, |text| kind.normalized(text)),
            record,
            vocab,
            number: MADE.fetch_add(1, Ordering::Relaxed) + 1,
            sections: TokenizerSections {
                config,
                text,
                offsets,
                lookup,
                unigram: kind.sections(),
            },
            kind,
            scratch: Pool::default(),
        };
        Ok(Tokenizer {
            shared: Arc::new(shared),
            positions: Positions::BERT,
            prompts: Arc::default(),
            special_as_text: false,
        })
    }

    /// The sections to write into a model file.
    pub fn sections(&self) -> &TokenizerSections {
        &self.shared.sections
    }

    /// The rules.
    pub fn config(&self) -> TokenizerConfig {
        let record = &self.shared.record;
        let text = |id: u32| self.token(id).unwrap_or_default().to_owned();
        TokenizerConfig {
            kind: record.kind,
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

    /// Number of ids; every id is smaller.
    pub fn vocab_size(&self) -> usize {
        self.shared.record.vocab_size()
    }

    /// Looks up every piece, and reads a Unigram's scores and normaliser. Opening skips this,
    /// because a fault can only give wrong ids.
    ///
    /// # Errors
    /// Names the first piece that is not UTF-8 or is not found, or what else is wrong.
    pub fn check(&self) -> Result<(), TokenizerError> {
        let vocab = self.shared.vocab.view();
        match vocab.first_lost() {
            None => self.shared.kind.check(vocab),
            Some(id) => Err(TokenizerError::Section {
                section: "tokenizer.lookup",
                reason: format!("piece {id} is not text or is not found"),
            }),
        }
    }

    /// The text of a token; `None` for an unknown id.
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

    /// Whether special tokens inside a text are read as plain text. Turn it on for text from people
    /// you do not trust. Off by default, as in Hugging Face's `tokenizers`. Added tokens that are
    /// not special stay tokens.
    #[must_use]
    pub fn special_tokens_as_text(self, yes: bool) -> Self {
        Tokenizer {
            special_as_text: yes,
            ..self
        }
    }

    /// The special tokens around texts.
    pub fn frame(&self) -> Frame {
        let record = &self.shared.record;
        let rules = match record.kind {
            TokenizerKind::WordPiece => FrameRules::BERT,
            TokenizerKind::Unigram(_) => FrameRules::ROBERTA,
        };
        Frame::new([record.cls, record.sep, record.pad], rules, self.positions)
    }

    /// The same tokenizer with a model's positions.
    pub(crate) fn with_positions(self, positions: Positions) -> Self {
        Tokenizer { positions, ..self }
    }

    /// What goes before a model's texts. [`Tokenizer::encode`] and its kin take texts as they are;
    /// [`crate::Ranker`] and [`crate::Encoder`] put prompts before them.
    pub fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// The same tokenizer with other prompts.
    #[must_use]
    pub fn with_prompts(self, prompts: Prompts) -> Self {
        Tokenizer {
            prompts: Arc::new(prompts),
            ..self
        }
    }

    /// Id of the class token, the first of every sequence.
    pub fn cls_id(&self) -> u32 {
        self.shared.record.cls
    }

    /// Id of the separator, which ends every text.
    pub fn sep_id(&self) -> u32 {
        self.shared.record.sep
    }

    /// Id of the unknown token.
    pub fn unk_id(&self) -> u32 {
        self.shared.record.unk
    }

    /// Appends a text's ids, without special tokens around them, and returns their number. Stores
    /// at most `limit` ids and only counts the rest.
    pub fn tokenize_into(
        &self,
        text: &str,
        limit: usize,
        scratch: &mut TokenizerScratch,
        ids: &mut Vec<u32>,
    ) -> usize {
        let Shared {
            record,
            vocab,
            kind,
            number,
            ..
        } = &*self.shared;
        let mut reader = kind.reader(record, vocab.view(), *number, scratch);
        let mut ids = Ids::new(ids, limit, text.len() / BYTES_PER_TOKEN);
        let mut done = 0;
        for found in self.shared.added.raw.matches(text, self.special_as_text) {
            let before = text.get(done..found.start).unwrap_or_default();
            self.between(before, &mut reader, &mut ids);
            ids.push(found.id);
            done = found.end;
        }
        self.between(&text[done..], &mut reader, &mut ids);
        ids.finish()
    }

    /// Reads a text between added tokens that are matched in the raw text.
    fn between(&self, text: &str, reader: &mut Reader, ids: &mut Ids) {
        let patterns = &self.shared.added.normalized;
        if patterns.is_empty() {
            return reader.text(text, ids);
        }
        let text = self.shared.kind.normalized(text);
        let mut done = 0;
        for found in patterns.matches(&text, self.special_as_text) {
            let before = text.get(done..found.start).unwrap_or_default();
            reader.normalized(before, ids);
            ids.push(found.id);
            done = found.end;
        }
        reader.normalized(&text[done..], ids);
    }

    /// `[CLS] text [SEP]`, cut to `max_length`. Special tokens are never cut.
    pub fn encode(&self, text: &str, max_length: usize) -> Encoding {
        let (frame, policy) = (self.frame(), TruncationPolicy::default());
        self.shared.scratch.lend(|buffers| {
            let ids = &mut buffers.first;
            let limit = policy.stored(frame.single_budget(max_length));
            let count = self.tokenize_from(text, limit, &mut buffers.tokenizer, ids);
            let kept = frame.fit_single(count, max_length, policy);
            let truncation = Truncation {
                query_tokens: count - kept,
                passage_tokens: 0,
            };
            encoding(frame.single(policy.keep(ids, kept)), truncation)
        })
    }

    /// `[CLS] a [SEP] b [SEP]`, a Unigram's with a second `[SEP]` between, cut to `max_length`, the
    /// longer text first. Special tokens are never cut.
    pub fn encode_pair(&self, a: &str, b: &str, max_length: usize) -> Encoding {
        let (frame, policy) = (self.frame(), TruncationPolicy::default());
        self.shared.scratch.lend(|buffers| {
            let limit = policy.stored(frame.pair_budget(max_length));
            let Buffers {
                tokenizer,
                first,
                second,
            } = buffers;
            let a = self.tokenize_from(a, limit, tokenizer, first);
            let b = self.tokenize_from(b, limit, tokenizer, second);
            let (a_kept, b_kept) = frame.fit_pair(a, b, max_length, policy);
            let truncation = Truncation {
                query_tokens: a - a_kept,
                passage_tokens: b - b_kept,
            };
            let tokens = frame.pair(policy.keep(first, a_kept), policy.keep(second, b_kept));
            encoding(tokens, truncation)
        })
    }

    /// As [`Tokenizer::tokenize_from`], with the role's prompt before the text.
    pub(crate) fn read_from(
        &self,
        role: Role,
        text: &str,
        limit: usize,
        scratch: &mut TokenizerScratch,
        ids: &mut Vec<u32>,
    ) -> usize {
        let prompt = self.prompts.of(role);
        if prompt.is_empty() {
            return self.tokenize_from(text, limit, scratch, ids);
        }
        // Joined, because the tokens of both together need not be those of each.
        let mut joined = std::mem::take(&mut scratch.joined);
        joined.clear();
        joined.push_str(prompt);
        joined.push_str(text);
        let count = self.tokenize_from(&joined, limit, scratch, ids);
        scratch.joined = joined;
        count
    }

    /// [`Tokenizer::tokenize_into`] an emptied buffer.
    pub(crate) fn tokenize_from(
        &self,
        text: &str,
        limit: usize,
        scratch: &mut TokenizerScratch,
        ids: &mut Vec<u32>,
    ) -> usize {
        ids.clear();
        self.tokenize_into(text, limit, scratch, ids)
    }

    /// The number of a text's tokens, without special tokens around it.
    pub fn count(&self, text: &str, scratch: &mut TokenizerScratch) -> usize {
        self.tokenize_into(text, 0, scratch, &mut Vec::new())
    }

    /// As [`Tokenizer::count`], with the role's prompt before the text.
    pub fn count_as(&self, role: Role, text: &str, scratch: &mut TokenizerScratch) -> usize {
        self.read_from(role, text, 0, scratch, &mut Vec::new())
    }
}

fn encoding(tokens: impl ExactSizeIterator<Item = Token>, truncation: Truncation) -> Encoding {
    let mut encoding = Encoding {
        ids: Vec::with_capacity(tokens.len()),
        type_ids: Vec::with_capacity(tokens.len()),
        truncation,
    };
    for token in tokens {
        encoding.ids.push(token.id);
        encoding.type_ids.push(token.type_id);
    }
    encoding
}
