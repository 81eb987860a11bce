//! `config_sentence_transformers.json`: prompts that sentence-transformers puts before texts.
//!
//! A model file has no prompts. A model that needs one is refused, because its scores without it
//! would be wrong.

use serde::Deserialize;

use crate::import::entries::Entries;
use crate::import::error::ImportError;
use crate::import::files::Files;

const FILE: &str = "config_sentence_transformers.json";

/// Names of the prompts of `encode_query` and `encode_document`, by which an encoder ranks.
const OF_RANKING: [&str; 4] = ["query", "document", "passage", "corpus"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: Option<Entries<Option<String>>>,
    default_prompt_name: Option<String>,
}

impl Prompts {
    /// The name and text of a prompt that would be used.
    fn used(&self, encoder: bool) -> Result<Option<(&str, &str)>, String> {
        let entries = self.prompts.as_ref().map_or(&[][..], |entries| &entries.0);
        if let Some(default) = &self.default_prompt_name
            && !entries.iter().any(|(name, _)| name == default)
        {
            return Err(format!(
                "default_prompt_name is {default:?}, which no prompt has"
            ));
        }
        let is_used = |name: &String| {
            self.default_prompt_name.as_ref() == Some(name)
                || (encoder && OF_RANKING.contains(&name.as_str()))
        };
        let mut filled = entries
            .iter()
            .map(|(name, text)| (name, text.as_deref().unwrap_or_default()))
            .filter(|(_, text)| !text.is_empty());
        let found = filled.find(|(name, _)| is_used(name));
        Ok(found.map(|(name, text)| (name.as_str(), text)))
    }
}

/// Refuses a model whose texts need a prompt.
///
/// # Errors
/// Quotes the prompt.
pub(super) fn check(files: &Files, encoder: bool) -> Result<(), ImportError> {
    let prompts: Prompts = files.read_json_if_there(FILE)?.unwrap_or_default();
    let wrong = |reason| ImportError::at(files.path(FILE), reason);
    match prompts.used(encoder).map_err(wrong)? {
        None => Ok(()),
        Some((name, text)) => Err(wrong(format!(
            "the prompt {name:?} belongs before texts, and a model file does not hold prompts: put \
             {text:?} before your texts yourself, and remove it from this file"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refusal(text: &str, encoder: bool) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        let checked = check(&Files::folder(folder.path()), encoder);
        checked.err().map(|error| error.to_string())
    }

    #[test]
    fn prompts_in_use_are_quoted() {
        let default = r#"{"default_prompt_name": "q", "prompts": {"q": "represent this: "}}"#;
        for encoder in [false, true] {
            let error = refusal(default, encoder).unwrap();
            assert!(error.contains("\"represent this: \""), "{error}");
            assert!(error.contains(FILE), "{error}");
        }
        let query = r#"{"default_prompt_name": null, "prompts": {"query": "Find: ", "x": "y"}}"#;
        assert!(refusal(query, true).unwrap().contains("\"Find: \""));
        assert_eq!(refusal(query, false), None);
        let missing = refusal(r#"{"default_prompt_name": "q"}"#, false).unwrap();
        assert!(missing.contains("\"q\", which no prompt has"), "{missing}");
    }

    #[test]
    fn empty_and_unused_prompts_are_fine() {
        for text in [
            "{}",
            r#"{"prompts": {}, "default_prompt_name": null}"#,
            r#"{"prompts": {"query": "", "document": ""}, "similarity_fn_name": "cosine"}"#,
            r#"{"prompts": {"query": ""}, "default_prompt_name": "query"}"#,
            r#"{"prompts": {"clustering": "c: "}}"#,
        ] {
            assert_eq!(refusal(text, true), None, "{text}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(check(&Files::folder(empty.path()), true).is_ok());
    }
}
