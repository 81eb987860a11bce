//! `special_tokens_map.json`: the pieces that are found in a text before it is split.

use std::collections::HashSet;

use lanerank::tokenizer::TokenizerConfig;
use serde::Deserialize;

use super::tokenizer_settings::Token;
use crate::import::error::ImportError;
use crate::import::files::Files;

/// Name of the file.
pub(super) const FILE: &str = "special_tokens_map.json";

/// The content of the file. Missing fields have no effect.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SpecialTokens {
    unk_token: Option<Token>,
    cls_token: Option<Token>,
    sep_token: Option<Token>,
    pad_token: Option<Token>,
    mask_token: Option<Token>,
    additional_special_tokens: Vec<Token>,
}

impl SpecialTokens {
    /// Reads a model's `special_tokens_map.json`. Without the file, nothing is set.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(files: &Files) -> Result<Self, ImportError> {
        Ok(files.read_json_if_there(FILE)?.unwrap_or_default())
    }

    fn named(&self) -> impl Iterator<Item = &Token> {
        let named = [
            &self.unk_token,
            &self.cls_token,
            &self.sep_token,
            &self.pad_token,
            &self.mask_token,
        ];
        named.into_iter().flatten()
    }

    /// The texts of all tokens.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let tokens = self.named().chain(&self.additional_special_tokens);
        tokens.map(Token::text)
    }

    /// Makes the tokens special, as FlashRank does after it has read `tokenizer.json`. `has` tells
    /// whether the vocabulary has a piece.
    ///
    /// # Errors
    /// When a token differs from the one in the rules, or has no embedding.
    pub(super) fn add_to(
        &self,
        rules: &mut TokenizerConfig,
        has: &dyn Fn(&str) -> bool,
    ) -> Result<(), String> {
        for (name, here, there) in [
            ("unk_token", &self.unk_token, &rules.unk_token),
            ("cls_token", &self.cls_token, &rules.cls_token),
            ("sep_token", &self.sep_token, &rules.sep_token),
        ] {
            if let Some(token) = here.as_ref().filter(|token| token.text() != there) {
                let here = token.text();
                return Err(format!(
                    "{name} is {here:?}, but the tokenizer has {there:?}"
                ));
            }
        }
        let added = rules.added_tokens.iter();
        let mut known: HashSet<String> = added.map(|added| added.content.clone()).collect();
        for token in self.named().chain(&self.additional_special_tokens) {
            let text = token.text();
            if !known.insert(text.to_owned()) {
                continue;
            }
            if !has(text) {
                return Err(format!("{text:?} is not in the vocabulary"));
            }
            rules.added_tokens.push(token.special());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn added(value: serde_json::Value) -> Result<Vec<String>, String> {
        let map: SpecialTokens = serde_json::from_value(value).unwrap();
        let mut rules = TokenizerConfig::bert_uncased();
        rules.added_tokens.truncate(0);
        map.add_to(&mut rules, &|piece| piece.starts_with('['))?;
        let texts = rules.added_tokens.into_iter().map(|token| token.content);
        Ok(texts.collect())
    }

    #[test]
    fn tokens_are_added_once() {
        assert_eq!(added(json!({})).unwrap(), [""; 0]);
        let all = json!({"unk_token": "[UNK]", "cls_token": {"content": "[CLS]", "lstrip": false},
            "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]",
            "additional_special_tokens": ["[Q]", "[SEP]"]});
        let expected = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[Q]"];
        assert_eq!(added(all).unwrap(), expected);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = added(json!({"cls_token": "<s>"})).unwrap_err();
        assert_eq!(
            error,
            "cls_token is \"<s>\", but the tokenizer has \"[CLS]\""
        );
        let error = added(json!({"additional_special_tokens": ["<q>"]})).unwrap_err();
        assert_eq!(error, "\"<q>\" is not in the vocabulary");
    }
}
