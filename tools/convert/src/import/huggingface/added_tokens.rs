//! Tokens that a folder adds to its vocabulary.
//!
//! `added_tokens.json` and `added_tokens_decoder` give ids, the special tokens of
//! `tokenizer_config.json` only texts. A text without an id gets the next free one, as in
//! transformers. Files that disagree are refused.

use std::collections::{HashMap, HashSet};

use lanerank::tokenizer::{AddedToken, TokenizerConfig};

use super::special_tokens::SpecialTokens;
use super::token_list::TokenList;
use super::tokenizer_settings::{self, TokenizerSettings};
use crate::import::entries::Entries;
use crate::import::error::ImportError;
use crate::import::files::Files;

/// Name of the file of early releases.
const FILE: &str = "added_tokens.json";

/// Ids of the pieces of a vocabulary.
pub(super) struct Vocabulary<'a> {
    ids: HashMap<&'a str, u32>,
    count: u32,
}

impl<'a> Vocabulary<'a> {
    /// The pieces in the order of their ids. Of equal pieces the last counts.
    pub(super) fn new(pieces: impl Iterator<Item = &'a str>) -> Self {
        let ids: HashMap<_, _> = pieces.zip(0..).collect();
        let count = ids.values().max().map_or(0, |last| last + 1);
        Vocabulary { ids, count }
    }

    /// Whether the vocabulary has a piece.
    pub(super) fn has(&self, piece: &str) -> bool {
        self.ids.contains_key(piece)
    }
}

/// The files' tokens.
#[derive(Default)]
pub(super) struct AddedTokens {
    /// Texts and ids of `added_tokens.json`.
    file: Vec<(String, u32)>,
    special: SpecialTokens,
}

impl AddedTokens {
    /// Reads `added_tokens.json` and `special_tokens_map.json`, if they exist.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn read(files: &Files) -> Result<Self, ImportError> {
        let file: Option<Entries<u32>> = files.read_json_if_there(FILE)?;
        Ok(AddedTokens {
            file: file.map_or_else(Vec::new, |entries| entries.0),
            special: SpecialTokens::read(files)?,
        })
    }

    /// Adds the tokens of all files to the rules. `stated` says whether the rules' tokens and their
    /// flags are those of a `tokenizer.json`.
    ///
    /// # Errors
    /// Names the file and the token that disagrees.
    pub(super) fn complete(
        &self,
        files: &Files,
        settings: &TokenizerSettings,
        vocabulary: &Vocabulary,
        rules: &mut TokenizerConfig,
        stated: bool,
    ) -> Result<(), ImportError> {
        let at = |name: &str| {
            let path = files.path(name);
            move |reason: String| ImportError::at(path, reason)
        };
        let mut list = TokenList::new(std::mem::take(&mut rules.added_tokens));
        for token in settings
            .added_tokens()
            .map_err(at(tokenizer_settings::FILE))?
        {
            let wrong = at(tokenizer_settings::FILE);
            add(token, vocabulary, &mut list, stated).map_err(wrong)?;
        }
        let named = settings.special_tokens();
        let mut special: HashSet<&str> = self.special.texts().collect();
        special.extend(named.iter().map(|token| token.content.as_str()));
        special.extend(settings.named_texts());
        for (content, id) in &self.file {
            let is_special = special.contains(content.as_str());
            if let Some(known) = list.find(content) {
                same_id(
                    content,
                    *id,
                    known.id.or(vocabulary.ids.get(content.as_str()).copied()),
                )
                .map_err(at(FILE))?;
                continue;
            }
            let token = AddedToken {
                id: Some(*id),
                normalized: !is_special,
                special: is_special,
                ..AddedToken::special(content)
            };
            add(token, vocabulary, &mut list, stated).map_err(at(FILE))?;
        }
        for mut token in named {
            if list.find(&token.content).is_some() {
                continue;
            }
            if !vocabulary.has(&token.content) {
                token.id = Some(list.next_id().max(vocabulary.count));
            }
            list.push(token);
        }
        rules.added_tokens = list.into_tokens();
        let has = |token: &str| vocabulary.has(token);
        let done = self.special.add_to(rules, &has);
        done.map_err(at(super::special_tokens::FILE))
    }
}

fn same_id(content: &str, here: u32, there: Option<u32>) -> Result<(), String> {
    match there {
        Some(there) if there != here => Err(format!(
            "token {content:?} has id {here} here, but {there} in another file"
        )),
        _ => Ok(()),
    }
}

/// Adds a token with an id and flags, or compares it with the one in the list.
fn add(
    token: AddedToken,
    vocabulary: &Vocabulary,
    list: &mut TokenList,
    stated: bool,
) -> Result<(), String> {
    let content = token.content.clone();
    let id = token.id.unwrap_or_default();
    let piece = vocabulary.ids.get(content.as_str()).copied();
    same_id(&content, id, piece)?;
    if piece.is_none() && id < vocabulary.count {
        return Err(format!("token {content:?} has id {id}, which is a piece's"));
    }
    if let Some(other) = list.other(id, &content) {
        return Err(format!(
            "tokens {content:?} and {:?} both have id {id}",
            other.content
        ));
    }
    let Some(known) = list.find(&content) else {
        list.push(token);
        return Ok(());
    };
    same_id(&content, id, known.id)?;
    let flags = |token: &AddedToken| (token.single_word, token.lstrip, token.rstrip);
    if stated && (flags(known), known.normalized) != (flags(&token), token.normalized) {
        return Err(format!(
            "token {content:?} has other flags (single_word, lstrip, rstrip, normalized) than in \
             tokenizer.json"
        ));
    }
    let special = known.special || token.special;
    list.replace(AddedToken { special, ..token });
    Ok(())
}

#[cfg(test)]
mod tests;
