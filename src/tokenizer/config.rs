//! The tokenizer's rules, and their record in a model file.

use std::collections::HashSet;

use super::bytes::{le_u16, le_u32};
use super::normalize::Steps;
use super::rules::{TokenizerKind, UnigramRules};
use super::wordpiece::HEAD;
use crate::error::TokenizerError;

/// Version of a record without `normalized` tokens, which older readers know.
const VERSION: u32 = 1;
/// Version of a record whose added tokens may be `normalized`.
const NORMALIZED: u32 = 2;
/// Version of a Unigram's record.
const UNIGRAM: u32 = 3;
/// Size of the record before the added tokens.
const FIXED: usize = 56;
const TOKEN_HEADER: usize = 8;
/// Largest `max_input_chars_per_word`. Bounds the work of one word.
const MAX_WORD_CHARS: u32 = 4096;
const MAX_PREFIX: usize = HEAD - 1;
const MAX_ADDED: usize = 4096;
const MAX_ADDED_BYTES: usize = 1024;
/// Longest text of an added token when it is normalised. A normaliser may make 128 bytes of one.
const MAX_NORMALIZED_BYTES: usize = 4 * MAX_ADDED_BYTES;
const NO_MASK: u32 = u32::MAX;

/// How text becomes tokens: rules and special tokens. BERT's rules, the first six, are off, 0 or
/// empty for a Unigram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerConfig {
    /// How words become ids.
    pub kind: TokenizerKind,
    /// Lower-case the text.
    pub lowercase: bool,
    /// Decompose characters and drop their accents. Hugging Face's `strip_accents: null` means: as
    /// `lowercase`.
    pub strip_accents: bool,
    /// Drop control characters.
    pub clean_text: bool,
    /// Treat each Chinese character as a word.
    pub handle_chinese_chars: bool,
    /// Longer words become the unknown token; at most 4096.
    pub max_input_chars_per_word: u32,
    /// Prefix of pieces that continue a word; at most 15 bytes.
    pub continuing_subword_prefix: String,
    /// Stands for words that the vocabulary cannot spell.
    pub unk_token: String,
    /// First token of every sequence.
    pub cls_token: String,
    /// After each text.
    pub sep_token: String,
    /// Padding, which this library does not use.
    pub pad_token: String,
    /// Stands for a word to guess, if there is such a token.
    pub mask_token: Option<String>,
    /// Tokens that are recognised in raw text.
    pub added_tokens: Vec<AddedToken>,
}

/// A token that is recognised in a text before it is split into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedToken {
    /// Its text.
    pub content: String,
    /// Its id; `None` for the id of the piece with this text. Ids after those of the pieces are for
    /// tokens that are in no vocabulary file.
    pub id: Option<u32>,
    /// Does not match next to a letter, digit, mark or connector.
    pub single_word: bool,
    /// Includes white space before it.
    pub lstrip: bool,
    /// Includes white space after it.
    pub rstrip: bool,
    /// Matched in the normalised text, with its own text normalised: `#Tag` matches `#TAG` in
    /// uncased text.
    pub normalized: bool,
    /// One of the model's control tokens: see [`Tokenizer::special_tokens_as_text`].
    ///
    /// [`Tokenizer::special_tokens_as_text`]: super::Tokenizer::special_tokens_as_text
    pub special: bool,
}

impl AddedToken {
    /// A special token with the id of its text in the vocabulary and all other flags off.
    pub fn special(content: &str) -> Self {
        AddedToken {
            content: content.to_owned(),
            id: None,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }

    fn flags(&self) -> u8 {
        u8::from(self.single_word)
            | u8::from(self.lstrip) << 1
            | u8::from(self.rstrip) << 2
            | u8::from(self.special) << 3
            | u8::from(self.normalized) << 4
    }
}

impl TokenizerConfig {
    /// The rules of `bert-base-uncased` and `bert-base-multilingual-uncased`.
    pub fn bert_uncased() -> Self {
        let [unk, cls, sep, pad, mask] = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"];
        TokenizerConfig {
            kind: TokenizerKind::WordPiece,
            lowercase: true,
            strip_accents: true,
            clean_text: true,
            handle_chinese_chars: true,
            max_input_chars_per_word: 100,
            continuing_subword_prefix: "##".to_owned(),
            unk_token: unk.to_owned(),
            cls_token: cls.to_owned(),
            sep_token: sep.to_owned(),
            pad_token: pad.to_owned(),
            mask_token: Some(mask.to_owned()),
            added_tokens: [pad, unk, cls, sep, mask].map(AddedToken::special).to_vec(),
        }
    }

    /// The rules of `xlm-roberta-base`, without its pieces and its normaliser.
    pub fn xlm_roberta() -> Self {
        let [unk, cls, sep, pad, mask] = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"];
        let mut added_tokens = [cls, pad, sep, unk, mask].map(AddedToken::special);
        added_tokens[4].lstrip = true;
        TokenizerConfig {
            kind: TokenizerKind::Unigram(UnigramRules {
                split_whitespace: true,
                ..UnigramRules::default()
            }),
            lowercase: false,
            strip_accents: false,
            clean_text: false,
            handle_chinese_chars: false,
            max_input_chars_per_word: 0,
            continuing_subword_prefix: String::new(),
            unk_token: unk.to_owned(),
            cls_token: cls.to_owned(),
            sep_token: sep.to_owned(),
            pad_token: pad.to_owned(),
            mask_token: Some(mask.to_owned()),
            added_tokens: added_tokens.to_vec(),
        }
    }

    /// The rules of `bert-base-cased` and `bert-base-multilingual-cased`.
    pub fn bert_cased() -> Self {
        TokenizerConfig {
            lowercase: false,
            strip_accents: false,
            ..Self::bert_uncased()
        }
    }
}

/// The record of `tokenizer.config`.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) kind: TokenizerKind,
    pub(super) steps: Steps,
    pub(super) max_word_chars: u32,
    pub(super) pieces: u32,
    pub(super) unk: u32,
    pub(super) cls: u32,
    pub(super) sep: u32,
    pub(super) pad: u32,
    pub(super) mask: Option<u32>,
    pub(super) prefix: String,
    pub(super) added: Vec<(AddedToken, u32)>,
}

fn wrong(reason: impl Into<String>) -> TokenizerError {
    TokenizerError::Section {
        section: "tokenizer.config",
        reason: reason.into(),
    }
}

impl Record {
    /// The record of a configuration; `id` finds a piece.
    pub(super) fn from_config(
        config: &TokenizerConfig,
        pieces: usize,
        id: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self, TokenizerError> {
        let mut added = Vec::with_capacity(config.added_tokens.len());
        for token in &config.added_tokens {
            let id = token.id.or_else(|| id(&token.content));
            let id = id.ok_or_else(|| TokenizerError::MissingToken(token.content.clone()))?;
            added.push((
                AddedToken {
                    id: Some(id),
                    ..token.clone()
                },
                id,
            ));
        }
        let find = |text: &String| {
            let token = added.iter().find(|(token, _)| token.content == *text);
            let id = token.map(|&(_, id)| id).or_else(|| id(text));
            id.ok_or_else(|| TokenizerError::MissingToken(text.clone()))
        };
        let record = Record {
            kind: config.kind,
            steps: Steps {
                clean_text: config.clean_text,
                handle_chinese_chars: config.handle_chinese_chars,
                strip_accents: config.strip_accents,
                lowercase: config.lowercase,
            },
            max_word_chars: config.max_input_chars_per_word,
            pieces: pieces as u32,
            unk: find(&config.unk_token)?,
            cls: find(&config.cls_token)?,
            sep: find(&config.sep_token)?,
            pad: find(&config.pad_token)?,
            mask: config.mask_token.as_ref().map(find).transpose()?,
            prefix: config.continuing_subword_prefix.clone(),
            added,
        };
        record.check()?;
        Ok(record)
    }

    /// Number of ids: pieces, and added tokens that follow them.
    pub(super) fn vocab_size(&self) -> usize {
        let after_last = self
            .added
            .iter()
            .map(|&(_, id)| id as usize + 1)
            .max()
            .unwrap_or(0);
        after_last.max(self.pieces as usize)
    }

    fn check(&self) -> Result<(), TokenizerError> {
        if self.max_word_chars > MAX_WORD_CHARS {
            return Err(TokenizerError::WordLimit(self.max_word_chars));
        }
        let none = (0, 0, true);
        let here = (
            self.steps.flags(),
            self.max_word_chars,
            self.prefix.is_empty(),
        );
        if self.kind != TokenizerKind::WordPiece && here != none {
            return Err(wrong("a Unigram with rules of WordPiece"));
        }
        if self.prefix.len() > MAX_PREFIX {
            return Err(TokenizerError::PrefixTooLong(self.prefix.clone()));
        }
        if self.added.len() > MAX_ADDED {
            return Err(TokenizerError::TooManyAddedTokens(self.added.len()));
        }
        let ids = self.pieces as usize + self.added.len();
        for (i, (token, id)) in self.added.iter().enumerate() {
            let refused = |reason| TokenizerError::AddedToken {
                content: token.content.clone(),
                reason,
            };
            if token.content.is_empty() || token.content.len() > MAX_ADDED_BYTES {
                return Err(refused("has no bytes or more than 1024"));
            }
            if *id as usize >= ids {
                return Err(refused("its id leaves a gap after the vocabulary's"));
            }
            if self.added[..i]
                .iter()
                .any(|(other, _)| other.content == token.content)
            {
                return Err(refused("occurs twice"));
            }
        }
        let size = self.vocab_size();
        for id in [
            Some(self.unk),
            Some(self.cls),
            Some(self.sep),
            Some(self.pad),
            self.mask,
        ] {
            if id.is_some_and(|id| id as usize >= size) {
                return Err(wrong(format!(
                    "special token id outside a vocabulary of {size}"
                )));
            }
        }
        Ok(())
    }

    /// The normalised texts of the `normalized` tokens must exist, differ and not be long.
    pub(super) fn check_normalized(
        &self,
        normalized: impl Fn(&str) -> String,
    ) -> Result<(), TokenizerError> {
        let mut seen = HashSet::new();
        for (token, _) in self.added.iter().filter(|(token, _)| token.normalized) {
            let text = normalized(&token.content);
            let reason = if text.is_empty() {
                "is `normalized`, and no text is left of it"
            } else if text.len() > MAX_NORMALIZED_BYTES {
                "is `normalized`, and its text then has more than 4096 bytes"
            } else if !seen.insert(text) {
                "has the normalised text of another token"
            } else {
                continue;
            };
            return Err(TokenizerError::AddedToken {
                content: token.content.clone(),
                reason,
            });
        }
        Ok(())
    }

    fn version(&self) -> u32 {
        if self.kind != TokenizerKind::WordPiece {
            UNIGRAM
        } else if self.added.iter().any(|(token, _)| token.normalized) {
            NORMALIZED
        } else {
            VERSION
        }
    }

    /// The section's bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let flags = match self.kind {
            TokenizerKind::WordPiece => self.steps.flags(),
            TokenizerKind::Unigram(rules) => rules.flags(),
        };
        let ids = [
            self.unk,
            self.cls,
            self.sep,
            self.pad,
            self.mask.unwrap_or(NO_MASK),
        ];
        for field in [self.version(), flags, self.max_word_chars, self.pieces]
            .into_iter()
            .chain(ids)
        {
            out.extend(field.to_le_bytes());
        }
        let mut prefix = [0; MAX_PREFIX + 1];
        prefix[0] = self.prefix.len() as u8;
        prefix[1..=self.prefix.len()].copy_from_slice(self.prefix.as_bytes());
        out.extend(prefix);
        out.extend((self.added.len() as u32).to_le_bytes());
        for (token, id) in &self.added {
            out.extend(id.to_le_bytes());
            out.extend([token.flags(), 0]);
            out.extend((token.content.len() as u16).to_le_bytes());
            out.extend(token.content.as_bytes());
        }
        out
    }

    /// Reads and checks a section.
    pub(super) fn read(section: &[u8]) -> Result<Self, TokenizerError> {
        if section.len() < FIXED {
            return Err(wrong("shorter than its fixed part"));
        }
        let field = |i: usize| le_u32(section, 4 * i);
        let version = field(0);
        if !(VERSION..=UNIGRAM).contains(&version) {
            return Err(wrong(format!(
                "version {version} instead of {VERSION} to {UNIGRAM}"
            )));
        }
        let flags = field(1);
        let rules = match version {
            UNIGRAM => UnigramRules::from_flags(flags).map(|rules| {
                let kind = TokenizerKind::Unigram(rules);
                (kind, Steps::default())
            }),
            _ => Steps::from_flags(flags).map(|steps| (TokenizerKind::WordPiece, steps)),
        };
        let unknown = || wrong(format!("unknown flags {flags:#x}"));
        let (kind, steps) = rules.ok_or_else(unknown)?;
        let record = Record {
            kind,
            steps,
            max_word_chars: field(2),
            pieces: field(3),
            unk: field(4),
            cls: field(5),
            sep: field(6),
            pad: field(7),
            mask: (field(8) != NO_MASK).then_some(field(8)),
            prefix: read_prefix(&section[36..52])?,
            added: read_added(&section[FIXED..], field(13) as usize, version)?,
        };
        record.check()?;
        Ok(record)
    }
}

fn read_prefix(field: &[u8]) -> Result<String, TokenizerError> {
    let (prefix, rest) = field[1..]
        .split_at_checked(usize::from(field[0]))
        .ok_or_else(|| wrong("continuing prefix longer than 15 bytes"))?;
    if rest.iter().any(|&b| b != 0) {
        return Err(wrong("bytes after the continuing prefix"));
    }
    String::from_utf8(prefix.to_vec()).map_err(|_| wrong("continuing prefix is not UTF-8"))
}

fn read_added(
    mut bytes: &[u8],
    count: usize,
    version: u32,
) -> Result<Vec<(AddedToken, u32)>, TokenizerError> {
    let known = if version == VERSION { 1 << 4 } else { 1 << 5 };
    if count > MAX_ADDED {
        return Err(TokenizerError::TooManyAddedTokens(count));
    }
    let mut added = Vec::with_capacity(count);
    for i in 0..count {
        let cut = || wrong(format!("ends within added token {i}"));
        let (header, rest) = bytes.split_at_checked(TOKEN_HEADER).ok_or_else(cut)?;
        let (content, rest) = rest
            .split_at_checked(usize::from(le_u16(header, 6)))
            .ok_or_else(cut)?;
        let content = std::str::from_utf8(content)
            .map_err(|_| wrong(format!("added token {i} is not UTF-8")))?;
        let (id, flags) = (le_u32(header, 0), header[4]);
        if flags >= known || header[5] != 0 {
            return Err(wrong(format!("added token {i} has unknown flags")));
        }
        let token = AddedToken {
            content: content.to_owned(),
            id: Some(id),
            single_word: flags & 1 != 0,
            lstrip: flags & 2 != 0,
            rstrip: flags & 4 != 0,
            normalized: flags & 16 != 0,
            special: flags & 8 != 0,
        };
        added.push((token, id));
        bytes = rest;
    }
    if !bytes.is_empty() {
        return Err(wrong("bytes after the last added token"));
    }
    Ok(added)
}
