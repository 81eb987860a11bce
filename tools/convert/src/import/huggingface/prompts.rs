//! `config_sentence_transformers.json`: prompts that sentence-transformers puts before texts.
//!
//! The rules are those of sentence-transformers 6.2: `encode` and `CrossEncoder.predict` use the
//! default prompt, `encode_query` the prompt `query`, `encode_document` the prompt `document`. The
//! last two never fall back to the default. The file counts only beside a `modules.json`, and only
//! for the kind of model that it names.

use lanerank::tokenizer::Prompts;
use serde::Deserialize;

use crate::import::entries::Entries;
use crate::import::error::ImportError;
use crate::import::files::Files;

const FILE: &str = "config_sentence_transformers.json";

/// Prompts that an encoder has even if its file does not name them. They are empty then.
const ALWAYS: [&str; 2] = ["query", "document"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    prompts: Option<Entries<Option<String>>>,
    default_prompt_name: Option<String>,
    /// `SentenceTransformer` if it is missing.
    model_type: Option<String>,
}

impl File {
    fn text(&self, name: &str) -> Option<&str> {
        let entries = self.prompts.as_ref().map_or(&[][..], |entries| &entries.0);
        let found = entries.iter().find(|(key, _)| key == name);
        found.map(|(_, text)| text.as_deref().unwrap_or_default())
    }

    /// Whether any prompt is not empty.
    fn has_text(&self) -> bool {
        let mut entries = self.prompts.iter().flat_map(|entries| &entries.0);
        entries.any(|(_, text)| text.as_ref().is_some_and(|text| !text.is_empty()))
    }

    /// The default prompt; empty if there is none.
    fn default(&self, encoder: bool) -> Result<&str, String> {
        let Some(name) = self.default_prompt_name.as_deref() else {
            return Ok("");
        };
        match self.text(name) {
            Some(text) => Ok(text),
            None if encoder && ALWAYS.contains(&name) => Ok(""),
            None => Err(format!(
                "default_prompt_name is {name:?}, which no prompt has"
            )),
        }
    }
}

/// The prompts of a folder, and a note where one of them looks useful but is not used.
///
/// # Errors
/// If the default prompt does not exist.
pub(super) fn read(files: &Files, encoder: bool) -> Result<(Prompts, Option<String>), ImportError> {
    let file: File = files.read_json_if_there(FILE)?.unwrap_or_default();
    let wrong = |reason| ImportError::at(files.path(FILE), reason);
    let wanted = ["CrossEncoder", "SentenceTransformer"][usize::from(encoder)];
    let kind = file.model_type.as_deref().unwrap_or("SentenceTransformer");
    if kind != wanted || !files.has("modules.json") {
        let note = file.has_text().then(|| {
            format!(
                "{FILE}: its prompts are not used, as in sentence-transformers, which wants a \
                 modules.json and the model_type {wanted}"
            )
        });
        return Ok((Prompts::default(), note));
    }
    let default = file.default(encoder).map_err(wrong)?.to_owned();
    if !encoder {
        let prompts = Prompts {
            query: default,
            ..Prompts::default()
        };
        return Ok((prompts, None));
    }
    let named = |name| file.text(name).unwrap_or_default();
    let passage = named("document");
    let unused = ["passage", "corpus"]
        .into_iter()
        .find(|name| passage.is_empty() && !named(name).is_empty());
    let note = unused.map(|name| {
        format!(
            "{FILE}: the prompt {name:?} is not used, as in sentence-transformers; the prompt of \
             passages is named \"document\""
        )
    });
    let prompts = Prompts {
        query: named("query").to_owned(),
        passage: passage.to_owned(),
        text: default,
    };
    Ok((prompts, note))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Read = Result<([String; 3], Option<String>), String>;

    fn read_with(text: &str, encoder: bool, modules: bool) -> Read {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        if modules {
            fs::write(folder.path().join("modules.json"), "[]").unwrap();
        }
        let read = super::read(&Files::folder(folder.path()), encoder);
        let (p, note) = read.map_err(|error| error.to_string())?;
        Ok(([p.query, p.passage, p.text], note))
    }

    fn read(text: &str, encoder: bool) -> Read {
        read_with(text, encoder, true)
    }

    fn none() -> [String; 3] {
        [const { String::new() }; 3]
    }

    // What the prompts do to vectors and logits is in tests/prompts.rs.

    #[test]
    fn a_default_that_does_not_exist_is_refused() {
        let missing = read(r#"{"default_prompt_name": "q"}"#, true).unwrap_err();
        assert!(missing.contains("\"q\", which no prompt has"), "{missing}");
        assert!(missing.contains(FILE), "{missing}");
        assert_eq!(
            read(r#"{"default_prompt_name": "query"}"#, true),
            Ok((none(), None))
        );
        let cross = r#"{"default_prompt_name": "query", "model_type": "CrossEncoder"}"#;
        assert!(read(cross, false).is_err());
    }

    #[test]
    fn prompts_that_sentence_transformers_does_not_use_are_noted() {
        let (prompts, note) = read(r#"{"prompts": {"passage": "P: "}}"#, true).unwrap();
        assert_eq!(prompts, none());
        assert!(note.unwrap().contains("\"passage\" is not used"));
        let query = r#"{"prompts": {"query": "Q: "}}"#;
        for (encoder, modules) in [(true, false), (false, true)] {
            let (prompts, note) = read_with(query, encoder, modules).unwrap();
            assert_eq!(prompts, none());
            assert!(note.unwrap().contains("not used"));
        }
    }

    #[test]
    fn empty_prompts_are_none() {
        for text in [
            "{}",
            r#"{"prompts": {}, "default_prompt_name": null}"#,
            r#"{"prompts": {"query": "", "document": null}, "similarity_fn_name": "cosine"}"#,
            r#"{"prompts": {"query": ""}, "default_prompt_name": "query"}"#,
            r#"{"prompts": {"clustering": "c: "}}"#,
        ] {
            assert_eq!(read(text, true), Ok((none(), None)), "{text}");
        }
    }
}
