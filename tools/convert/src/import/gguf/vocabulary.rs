//! Undoes what llama.cpp's converter does to BERT's vocabulary.
//!
//! The converter prefixes pieces that begin a word with U+2581 and removes `##` from the others.
//! Special tokens are unchanged. Early releases also leave all pieces in brackets unchanged, later
//! ones only those marked as special.

use std::collections::BTreeMap;

use lanerank::tokenizer::{AddedToken, TokenizerConfig, TokenizerKind};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::reader::Value;
use crate::import::refusals;

const PHANTOM: char = '\u{2581}';
/// Types of tokens.
const NORMAL: i64 = 1;
const UNUSED: i64 = 5;
/// Longest word that BERT's tokenizers look up.
const MAX_WORD_CHARS: u32 = 100;

/// Pieces and rules of the file's tokenizer.
///
/// # Errors
/// Names the key that is missing or wrong, or what the file does not say.
pub(super) fn read(
    metadata: &BTreeMap<String, Value>,
) -> Result<(Vec<String>, TokenizerConfig), String> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    match metadata.get(&key("model")) {
        Some(Value::Text(model)) if model == "bert" => {}
        Some(Value::Text(model)) if model == "t5" || model == "llama" => {
            let reason = refusals::sentence_piece();
            return Err(format!("tokenizer.ggml.model {model:?}: {reason}"));
        }
        Some(Value::Text(model)) => {
            return Err(format!(
                "tokenizer.ggml.model {model:?} is not supported; use a model with BERT's WordPiece"
            ));
        }
        _ => return Err("tokenizer.ggml.model: missing".into()),
    }
    let Some(Value::Texts(tokens)) = metadata.get(&key("tokens")) else {
        return Err("tokenizer.ggml.tokens: missing".into());
    };
    let kinds = match metadata.get(&key("token_type")) {
        Some(Value::Ints(kinds)) if kinds.len() == tokens.len() => kinds.clone(),
        None => vec![NORMAL; tokens.len()],
        Some(_) => return Err("tokenizer.ggml.token_type: not one per token".into()),
    };
    let pieces = restore(tokens, &kinds);
    let piece = |names: &[&str]| -> Result<String, String> {
        let id = names.iter().find_map(|name| metadata.get(&key(name)));
        let wrong = || format!("tokenizer.ggml.{}: missing or not a piece", names[0]);
        match id {
            Some(&Value::Int(id)) => {
                let piece = usize::try_from(id).ok().and_then(|id| pieces.get(id));
                piece.cloned().ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    };
    let cls = piece(&["cls_token_id", "bos_token_id"])?;
    // The converter writes the key with this spelling.
    let sep = piece(&["seperator_token_id", "separator_token_id", "eos_token_id"])?;
    let unk = piece(&["unknown_token_id"])?;
    let pad = piece(&["padding_token_id"]).unwrap_or_else(|_| "[PAD]".into());
    let mask = piece(&["mask_token_id"]).unwrap_or_else(|_| "[MASK]".into());
    let has = |name: &String| pieces.contains(name);
    let lowercase = is_uncased(&pieces)?;
    let special = [&pad, &unk, &cls, &sep, &mask];
    let rules = TokenizerConfig {
        kind: TokenizerKind::WordPiece,
        lowercase,
        strip_accents: lowercase,
        clean_text: true,
        handle_chinese_chars: true,
        max_input_chars_per_word: MAX_WORD_CHARS,
        continuing_subword_prefix: "##".into(),
        added_tokens: special
            .into_iter()
            .filter(|token| has(token))
            .map(|token| AddedToken::special(token))
            .collect(),
        mask_token: has(&mask).then(|| mask.clone()),
        unk_token: unk,
        cls_token: cls,
        sep_token: sep,
        pad_token: pad,
    };
    Ok((pieces, rules))
}

/// The pieces as in `vocab.txt`.
fn restore(tokens: &[String], kinds: &[i64]) -> Vec<String> {
    let bracketed = |token: &str| token.len() > 1 && token.starts_with('[') && token.ends_with(']');
    // A later release: normal pieces in brackets are rewritten like all others.
    let later = tokens
        .iter()
        .zip(kinds)
        .any(|(token, &kind)| kind == NORMAL && token.strip_prefix(PHANTOM).is_some_and(bracketed));
    // Ids without a piece, up to the number of embeddings.
    let padding = tokens
        .iter()
        .zip(kinds)
        .enumerate()
        .rev()
        .take_while(|(id, (token, kind))| **kind == UNUSED && **token == format!("[PAD{id}]"));
    let count = tokens.len() - padding.count();
    let piece = |(token, &kind): (&String, &i64)| match token.strip_prefix(PHANTOM) {
        // The rest of ##▁.
        Some("") => format!("##{PHANTOM}"),
        Some(first) => first.to_owned(),
        None if kind != NORMAL || (!later && bracketed(token)) => token.clone(),
        None => format!("##{token}"),
    };
    tokens.iter().zip(kinds).take(count).map(piece).collect()
}

/// Whether the model was made for uncased text without accents. The file does not say so, but its
/// vocabulary does: lower-casing changes a third of a cased vocabulary's pieces, and only a handful
/// of symbols of an uncased one's (`<S>` of bert-base-multilingual-uncased). Accents work the same
/// way.
fn is_uncased(pieces: &[String]) -> Result<bool, String> {
    let plain = || pieces.iter().filter(|piece| !piece.starts_with('['));
    let has_case = |c: char| !c.to_lowercase().eq([c]);
    let capitals = plain().filter(|piece| piece.contains(has_case)).count();
    let cased = capitals > pieces.len() / 100;
    let accented = plain().any(|piece| {
        // Scripts with composed letters decompose without having accents.
        let is_latin = |c: char| ('\u{c0}'..='\u{24f}').contains(&c);
        piece.chars().any(is_latin) && piece.nfd().any(is_combining_mark)
    });
    match (cased, accented) {
        (true, _) => Ok(false),
        (false, false) => Ok(true),
        (false, true) => Err(
            "its vocabulary has accents but no capitals, and GGUF does not say how text is \
             normalised; use the model's own files"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.into()).collect()
    }

    #[test]
    fn pieces_as_they_were() {
        let early = ["[PAD]", "[unused0]", "▁a", "b", "▁[", "▁▁", "▁", "[PAD7]"];
        let kinds = [3, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, NORMAL, UNUSED];
        let pieces = ["[PAD]", "[unused0]", "a", "##b", "[", "▁", "##▁"];
        assert_eq!(restore(&strings(&early), &kinds), pieces);
        let later = ["[PAD]", "▁[unused0]", "▁a", "[x]", "["];
        let kinds = [3, NORMAL, NORMAL, NORMAL, NORMAL];
        let pieces = ["[PAD]", "[unused0]", "a", "##[x]", "##["];
        assert_eq!(restore(&strings(&later), &kinds), pieces);
        assert_eq!(restore(&[], &[]), strings(&[]));
    }

    #[test]
    fn case_is_told_from_the_pieces() {
        let uncased = |pieces: &[&str]| is_uncased(&strings(pieces));
        assert_eq!(
            uncased(&["[CLS]", "a", "##b", "が", "가", "đ", "ℝ"]),
            Ok(true)
        );
        assert_eq!(uncased(&["[CLS]", "a", "B", "é"]), Ok(false));
        assert!(uncased(&["a", "##é"]).unwrap_err().contains("accents"));
    }
}
