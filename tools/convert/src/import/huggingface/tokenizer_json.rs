//! `tokenizer.json`: accepts BERT's WordPiece and XLM-RoBERTa's Unigram, and nothing else.

use std::collections::{BTreeMap, HashMap};

use lanerank::tokenizer::{AddedToken, TokenizerConfig, TokenizerKind, UnigramRules};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::unigram_json::{self, Unigram};
use crate::import::entries::Entries;

/// Vocabulary and rules of a `tokenizer.json`.
#[derive(Debug)]
pub(super) struct TokenizerFile {
    /// The pieces in order of their ids.
    pub pieces: Vec<String>,
    /// The rules.
    pub rules: TokenizerConfig,
    /// A Unigram's scores and normaliser.
    pub unigram: Option<Unigram>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(default)]
    added_tokens: Vec<Added>,
    truncation: Option<Truncation>,
    #[serde(borrow)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(borrow)]
    post_processor: Option<&'a RawValue>,
    #[serde(borrow)]
    model: &'a RawValue,
}

/// Programs that rank set the length, stride and strategy themselves. They take the direction from
/// here. `padding` has no effect on a score.
#[derive(Deserialize)]
struct Truncation {
    direction: Option<String>,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

impl From<Added> for AddedToken {
    fn from(added: Added) -> Self {
        AddedToken {
            content: added.content,
            id: Some(added.id),
            single_word: added.single_word,
            lstrip: added.lstrip,
            rstrip: added.rstrip,
            normalized: added.normalized,
            special: added.special,
        }
    }
}

/// The fields that every part has.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct WordPiece {
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: u32,
    vocab: Entries<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BertNormalizer {
    #[serde(rename = "type")]
    _kind: String,
    clean_text: bool,
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    lowercase: bool,
}

#[derive(Deserialize)]
pub(super) struct Sequence<'a> {
    #[serde(borrow, alias = "pretokenizers", alias = "processors")]
    pub normalizers: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct BertProcessing {
    sep: (String, u64),
    cls: (String, u64),
}

#[derive(Deserialize)]
pub(super) struct TemplateProcessing {
    pub single: Vec<Piece>,
    pub pair: Vec<Piece>,
    pub special_tokens: BTreeMap<String, TemplateToken>,
}

#[derive(Deserialize)]
pub(super) enum Piece {
    SpecialToken { id: String, type_id: u32 },
    Sequence { id: String, type_id: u32 },
}

#[derive(Deserialize)]
pub(super) struct TemplateToken {
    pub ids: Vec<u64>,
}

/// Names of tokens that the file does not name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Named<'a> {
    /// The padding token, if it has another name than usual.
    pub pad: Option<&'a str>,
    /// The mask token likewise.
    pub mask: Option<&'a str>,
}

/// Parses a `tokenizer.json`.
///
/// # Errors
/// Names the part that is neither BERT's WordPiece nor XLM-RoBERTa's Unigram.
pub(super) fn parse(text: &str, named: Named) -> Result<TokenizerFile, String> {
    let file: File = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let direction = file.truncation.as_ref();
    let direction = direction.and_then(|truncation| truncation.direction.as_deref());
    if let Some(direction) = direction.filter(|&direction| direction != "Right") {
        return Err(format!(
            "truncation.direction {direction:?} is not supported: a model file does not hold it; \
             set it to \"Right\", and choose the side of each request with \
             RerankOptions::truncation_side"
        ));
    }
    if kind("model", file.model)?.as_deref() == Some("Unigram") {
        return unigram(file, named);
    }
    let model = word_piece(file.model)?;
    let ids: HashMap<&str, u64> = model
        .vocab
        .0
        .iter()
        .map(|(piece, id)| (&**piece, *id))
        .collect();
    let normalizer = normalizer(file.normalizer)?;
    pre_tokenizer(file.pre_tokenizer)?;
    let (cls, sep) = post_processor(file.post_processor, &ids)?;
    let mask = named.mask.unwrap_or("[MASK]").to_owned();
    let rules = TokenizerConfig {
        kind: TokenizerKind::WordPiece,
        lowercase: normalizer.lowercase,
        strip_accents: normalizer.strip_accents.unwrap_or(normalizer.lowercase),
        clean_text: normalizer.clean_text,
        handle_chinese_chars: normalizer.handle_chinese_chars,
        max_input_chars_per_word: model.max_input_chars_per_word,
        continuing_subword_prefix: model.continuing_subword_prefix,
        unk_token: model.unk_token,
        cls_token: cls,
        sep_token: sep,
        pad_token: named.pad.unwrap_or("[PAD]").to_owned(),
        mask_token: ids.contains_key(&*mask).then_some(mask),
        added_tokens: file
            .added_tokens
            .into_iter()
            .map(AddedToken::from)
            .collect(),
    };
    Ok(TokenizerFile {
        pieces: in_order(model.vocab)?,
        rules,
        unigram: None,
    })
}

/// The parts of a file with a Unigram.
fn unigram(file: File, named: Named) -> Result<TokenizerFile, String> {
    let model = unigram_json::model(file.model)?;
    let (charsmap, spaces) = unigram_json::normalizer(file.normalizer)?;
    let kind = TokenizerKind::Unigram(UnigramRules {
        split_whitespace: unigram_json::pre_tokenizer(file.pre_tokenizer)?,
        ..spaces
    });
    let tokens = unigram_json::post_processor(file.post_processor)?;
    for (token, id) in &tokens {
        let piece = usize::try_from(*id)
            .ok()
            .and_then(|id| model.pieces.get(id));
        if piece != Some(token) {
            return Err(format!(
                "post_processor: {token:?} is not the vocabulary's piece {id}"
            ));
        }
    }
    let [(cls_token, _), (sep_token, _)] = tokens;
    for token in [&model.unk, &cls_token, &sep_token] {
        if model.pieces.iter().filter(|piece| *piece == token).count() > 1 {
            return Err(format!("model.vocab: {token:?} occurs twice"));
        }
    }
    let added_tokens: Vec<_> = file
        .added_tokens
        .into_iter()
        .map(AddedToken::from)
        .collect();
    let mask = named.mask.unwrap_or("<mask>");
    let has_mask = added_tokens.iter().any(|token| token.content == mask)
        || model.pieces.iter().any(|piece| piece == mask);
    let rules = TokenizerConfig {
        kind,
        unk_token: model.unk,
        cls_token,
        sep_token,
        pad_token: named.pad.unwrap_or("<pad>").to_owned(),
        mask_token: has_mask.then(|| mask.to_owned()),
        added_tokens,
        ..TokenizerConfig::xlm_roberta()
    };
    Ok(TokenizerFile {
        pieces: model.pieces,
        rules,
        unigram: Some(Unigram {
            scores: model.scores,
            charsmap,
        }),
    })
}

pub(super) fn part<'a, T: Deserialize<'a>>(name: &str, value: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(value.get()).map_err(|e| format!("{name}: {e}"))
}

pub(super) fn kind(name: &str, value: &RawValue) -> Result<Option<String>, String> {
    part::<Kind>(name, value).map(|kind| kind.kind)
}

fn word_piece(value: &RawValue) -> Result<WordPiece, String> {
    match kind("model", value)?.as_deref() {
        // The first releases did not write the type.
        Some("WordPiece") | None => part("model", value),
        Some(other) => Err(format!(
            "model {other:?} is not supported; lanerank has WordPiece, as BERT models use it, and \
             XLM-RoBERTa's Unigram"
        )),
    }
}

/// The part itself, or the only part of a sequence of one.
fn unwrap<'a>(name: &str, value: &'a RawValue) -> Result<&'a RawValue, String> {
    if kind(name, value)?.as_deref() != Some("Sequence") {
        return Ok(value);
    }
    match part::<Sequence>(name, value)?.normalizers[..] {
        [only] => Ok(only),
        ref parts => Err(format!(
            "{name}: a sequence of {} is not supported, only BERT's own",
            parts.len()
        )),
    }
}

/// The part, which must exist and have one kind.
fn only<'a>(
    name: &str,
    value: Option<&'a RawValue>,
    expected: &str,
) -> Result<&'a RawValue, String> {
    let value = value.ok_or_else(|| format!("{name}: missing; lanerank has {expected}"))?;
    let value = unwrap(name, value)?;
    match kind(name, value)? {
        Some(kind) if kind == expected => Ok(value),
        other => Err(format!(
            "{name} {:?} is not supported; lanerank has {expected}",
            other.unwrap_or_default()
        )),
    }
}

fn normalizer(value: Option<&RawValue>) -> Result<BertNormalizer, String> {
    part("normalizer", only("normalizer", value, "BertNormalizer")?)
}

fn pre_tokenizer(value: Option<&RawValue>) -> Result<(), String> {
    only("pre_tokenizer", value, "BertPreTokenizer").map(|_| ())
}

/// Texts of the tokens before and after each text.
fn post_processor(
    value: Option<&RawValue>,
    ids: &HashMap<&str, u64>,
) -> Result<(String, String), String> {
    let name = "post_processor";
    let value = value.ok_or("post_processor: missing; lanerank has BertProcessing")?;
    let value = unwrap(name, value)?;
    let tokens = match kind(name, value)?.as_deref() {
        Some("BertProcessing") => {
            let BertProcessing { cls, sep } = part(name, value)?;
            [cls, sep]
        }
        Some("TemplateProcessing") => bert_template(part(name, value)?)?,
        other => {
            return Err(format!(
                "{name} {:?} is not supported; lanerank has BertProcessing and its template",
                other.unwrap_or_default()
            ));
        }
    };
    for (token, id) in &tokens {
        if ids.get(&**token) != Some(id) {
            return Err(format!(
                "{name}: {token:?} is not the vocabulary's piece {id}"
            ));
        }
    }
    let [(cls, _), (sep, _)] = tokens;
    Ok((cls, sep))
}

/// `[CLS]` and `[SEP]` of a template that does what BertProcessing does.
fn bert_template(template: TemplateProcessing) -> Result<[(String, u64); 2], String> {
    use Piece::{Sequence, SpecialToken};
    let refuse = || "post_processor: a template other than BERT's is not supported".to_owned();
    let is_a = |piece: &Piece, name: &str, segment: u32| match piece {
        Sequence { id, type_id } => id == name && *type_id == segment,
        SpecialToken { .. } => false,
    };
    let is = |piece: &Piece, token: &str, segment: u32| match piece {
        SpecialToken { id, type_id } => id == token && *type_id == segment,
        Sequence { .. } => false,
    };
    let [
        SpecialToken {
            id: cls,
            type_id: 0,
        },
        _,
        SpecialToken {
            id: sep,
            type_id: 0,
        },
    ] = &template.single[..]
    else {
        return Err(refuse());
    };
    let single = &template.single;
    let same = is_a(&single[1], "A", 0)
        && matches!(&template.pair[..], [p0, p1, p2, p3, p4]
            if is(p0, cls, 0) && is_a(p1, "A", 0) && is(p2, sep, 0)
            && is_a(p3, "B", 1) && is(p4, sep, 1));
    let id = |token: &String| match template.special_tokens.get(token).map(|t| &t.ids[..]) {
        Some(&[id]) => Ok((token.clone(), id)),
        _ => Err(refuse()),
    };
    if same {
        Ok([id(cls)?, id(sep)?])
    } else {
        Err(refuse())
    }
}

/// The pieces by id. Every id from 0 on must exist exactly once.
fn in_order(Entries(vocab): Entries<u64>) -> Result<Vec<String>, String> {
    let count = vocab.len();
    let mut pieces: Vec<Option<String>> = vec![None; count];
    for (piece, id) in vocab {
        let slot = usize::try_from(id).ok().and_then(|id| pieces.get_mut(id));
        match slot {
            None => {
                return Err(format!(
                    "vocab: piece {piece:?} has id {id} among {count} pieces: ids must be 0 to \
                     n - 1 without holes"
                ));
            }
            Some(Some(other)) => {
                return Err(format!("vocab: {other:?} and {piece:?} both have id {id}"));
            }
            Some(slot) => *slot = Some(piece),
        }
    }
    // There are as many pieces as ids, none out of range and none twice: so there is no gap.
    Ok(pieces.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
