//! The parts of a `tokenizer.json` with SentencePiece's Unigram, as XLM-RoBERTa has it.
//!
//! transformers has written them in several ways. These are taken: a normaliser of `Precompiled`,
//! `Strip` and `Replace` of several spaces, in this order, each or none; and `Metaspace`, alone or
//! after `WhitespaceSplit`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lanerank::tokenizer::{Spaces, UnigramRules};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::tokenizer_json::{Piece, Sequence, TemplateProcessing, kind, part};

/// What SentencePiece has in place of a space.
const MARK: &str = "\u{2581}";
/// The expression that transformers writes for several spaces.
const SPACES: &str = " {2,}";

/// A Unigram's pieces, and what goes before them.
#[derive(Debug)]
pub(super) struct Unigram {
    /// The score of each piece.
    pub scores: Vec<f64>,
    /// The normaliser's table; empty for none.
    pub charsmap: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    #[serde(rename = "type")]
    _kind: String,
    unk_id: Option<usize>,
    vocab: Pieces,
    #[serde(default)]
    byte_fallback: bool,
}

/// Pieces and their scores.
#[derive(Default)]
struct Pieces(Vec<String>, Vec<f64>);

/// More pieces are refused before they are held: a piece may take four bytes in the file.
const MAX_PIECES: usize = (1 << 20) - 1;

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PiecesVisitor)
    }
}

struct PiecesVisitor;

impl<'de> Visitor<'de> for PiecesVisitor {
    type Value = Pieces;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pieces and scores")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Pieces, A::Error> {
        let mut all = Pieces::default();
        while let Some((piece, score)) = list.next_element()? {
            if all.0.len() == MAX_PIECES {
                return Err(A::Error::custom(format!("more than {MAX_PIECES} pieces")));
            }
            all.0.push(piece);
            all.1.push(score);
        }
        Ok(all)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Precompiled {
    #[serde(rename = "type")]
    _kind: String,
    precompiled_charsmap: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Strip {
    #[serde(rename = "type")]
    _kind: String,
    strip_left: bool,
    strip_right: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    #[serde(rename = "type")]
    _kind: String,
    pattern: Pattern,
    content: String,
}

#[derive(Deserialize)]
enum Pattern {
    String(String),
    Regex(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metaspace {
    #[serde(rename = "type")]
    _kind: String,
    replacement: String,
    #[serde(rename = "str_rep")]
    _text: Option<String>,
    add_prefix_space: Option<bool>,
    prepend_scheme: Option<String>,
    split: Option<bool>,
}

#[derive(Deserialize)]
struct RobertaProcessing {
    sep: (String, u64),
    cls: (String, u64),
}

/// The pieces, the unknown one and the scores of a model.
pub(super) struct Vocabulary {
    pub pieces: Vec<String>,
    pub scores: Vec<f64>,
    pub unk: String,
}

/// Reads the model.
///
/// # Errors
/// Names what it has that lanerank does not.
pub(super) fn model(value: &RawValue) -> Result<Vocabulary, String> {
    let model: Model = part("model", value)?;
    if model.byte_fallback {
        return Err(
            "model.byte_fallback is not supported; use a model as XLM-RoBERTa's, without".into(),
        );
    }
    let unk = model.unk_id.ok_or("model.unk_id: missing")?;
    let Pieces(pieces, scores) = model.vocab;
    let unk = pieces.get(unk).cloned();
    Ok(Vocabulary {
        unk: unk.ok_or("model.unk_id is not a piece's")?,
        pieces,
        scores,
    })
}

/// The parts of a sequence, or the only part.
fn parts<'a>(name: &str, value: Option<&'a RawValue>) -> Result<Vec<&'a RawValue>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(value) if kind(name, value)?.as_deref() == Some("Sequence") => {
            Ok(part::<Sequence>(name, value)?.normalizers)
        }
        Some(value) => Ok(vec![value]),
    }
}

/// Reads the normaliser: its table, and its rules for spaces.
///
/// # Errors
/// Names the part that lanerank does not have.
pub(super) fn normalizer(value: Option<&RawValue>) -> Result<(Vec<u8>, UnigramRules), String> {
    let name = "normalizer";
    let (mut charsmap, mut rules) = (Vec::new(), UnigramRules::default());
    // The place of the last part in the order that is supported.
    let mut last = 0;
    for value in parts(name, value)? {
        let kind = kind(name, value)?.unwrap_or_default();
        let place = match &*kind {
            "Precompiled" => {
                let table = part::<Precompiled>(name, value)?.precompiled_charsmap;
                charsmap = STANDARD
                    .decode(table)
                    .map_err(|e| format!("{name}: precompiled_charsmap: {e}"))?;
                1
            }
            "Strip" => {
                let strip: Strip = part(name, value)?;
                rules.strip_left = strip.strip_left;
                rules.strip_right = strip.strip_right;
                2
            }
            "Replace" => {
                rules.spaces = spaces(part(name, value)?)?;
                3
            }
            other => {
                return Err(format!(
                    "{name} {other:?} is not supported with a Unigram; lanerank has Precompiled, \
                     Strip and Replace of several spaces, in this order"
                ));
            }
        };
        if place <= last {
            return Err(format!(
                "{name}: {kind} in this place is not supported; lanerank has Precompiled, Strip \
                 and Replace, in this order"
            ));
        }
        last = place;
    }
    Ok((charsmap, rules))
}

/// What several spaces in a row become.
fn spaces(replace: Replace) -> Result<Spaces, String> {
    let pattern = match &replace.pattern {
        Pattern::Regex(pattern) if pattern == SPACES => match &*replace.content {
            " " => return Ok(Spaces::One),
            MARK => return Ok(Spaces::Mark),
            _ => pattern,
        },
        Pattern::Regex(pattern) | Pattern::String(pattern) => pattern,
    };
    Err(format!(
        "normalizer: Replace of {pattern:?} by {:?} is not supported; lanerank replaces {SPACES:?} \
         by a space or {MARK:?}",
        replace.content
    ))
}

/// Reads the splitting of words; returns whether white space separates them.
///
/// # Errors
/// Names the part that lanerank does not have.
pub(super) fn pre_tokenizer(value: Option<&RawValue>) -> Result<bool, String> {
    let name = "pre_tokenizer";
    let parts = parts(name, value)?;
    let mut kinds = Vec::new();
    for value in &parts {
        kinds.push(kind(name, value)?.unwrap_or_default());
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let split = match kinds[..] {
        ["Metaspace"] => false,
        ["WhitespaceSplit", "Metaspace"] => true,
        _ => {
            return Err(format!(
                "{name} {:?} is not supported with a Unigram; lanerank has Metaspace, alone or \
                 after WhitespaceSplit",
                kinds.join(", ")
            ));
        }
    };
    let metaspace: Metaspace = part(name, parts[parts.len() - 1])?;
    let refuse = |what: String| {
        Err(format!(
            "{name}: Metaspace with {what} is not supported; lanerank puts {MARK:?} before every \
             word"
        ))
    };
    if metaspace.replacement != MARK {
        return refuse(format!("replacement {:?}", metaspace.replacement));
    }
    if metaspace.add_prefix_space == Some(false) {
        return refuse("add_prefix_space false".into());
    }
    if let Some(scheme) = metaspace.prepend_scheme.filter(|scheme| scheme != "always") {
        return refuse(format!("prepend_scheme {scheme:?}"));
    }
    if metaspace.split == Some(false) {
        return refuse("split false".into());
    }
    Ok(split)
}

/// Texts and ids of the tokens before and after each text. Two of the latter stand between the
/// texts of a pair.
///
/// # Errors
/// When it is not XLM-RoBERTa's.
pub(super) fn post_processor(value: Option<&RawValue>) -> Result<[(String, u64); 2], String> {
    let name = "post_processor";
    let value = value.ok_or("post_processor: missing; lanerank has XLM-RoBERTa's template")?;
    match kind(name, value)?.as_deref() {
        Some("RobertaProcessing") => {
            let RobertaProcessing { cls, sep } = part(name, value)?;
            Ok([cls, sep])
        }
        Some("TemplateProcessing") => template(part(name, value)?),
        other => Err(format!(
            "{name} {:?} is not supported with a Unigram; lanerank has XLM-RoBERTa's template",
            other.unwrap_or_default()
        )),
    }
}

/// `<s>` and `</s>` of XLM-RoBERTa's template.
fn template(template: TemplateProcessing) -> Result<[(String, u64); 2], String> {
    let refuse = || {
        "post_processor: a template other than XLM-RoBERTa's is not supported with a Unigram"
            .to_owned()
    };
    let Some(Piece::SpecialToken { id: cls, .. }) = template.single.first() else {
        return Err(refuse());
    };
    let Some(Piece::SpecialToken { id: sep, .. }) = template.single.last() else {
        return Err(refuse());
    };
    let is = |pieces: &[Piece], expected: &[&str]| {
        let same = |(piece, expected): (&Piece, &&str)| match piece {
            Piece::SpecialToken { id, type_id } => *type_id == 0 && id == expected,
            Piece::Sequence { id, type_id } => *type_id == 0 && format!("${id}") == **expected,
        };
        pieces.len() == expected.len() && pieces.iter().zip(expected).all(same)
    };
    if !is(&template.single, &[cls, "$A", sep])
        || !is(&template.pair, &[cls, "$A", sep, sep, "$B", sep])
    {
        return Err(refuse());
    }
    let id = |token: &String| match template.special_tokens.get(token).map(|t| &t.ids[..]) {
        Some(&[id]) => Ok((token.clone(), id)),
        _ => Err(refuse()),
    };
    Ok([id(cls)?, id(sep)?])
}

#[cfg(test)]
mod tests;
