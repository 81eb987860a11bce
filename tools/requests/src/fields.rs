//! The fields of a rerank request in all its shapes.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::documents::{Documents, RankFields};
use crate::error::RequestError;
use crate::scalars::{Count, Flag};

/// The fields of a rerank request in all its shapes. Lists are not parsed yet.
#[derive(Debug, Deserialize)]
pub struct RerankFields<'a> {
    /// The query.
    pub query: Option<String>,
    /// TEI's list.
    #[serde(borrow)]
    pub texts: Option<&'a RawValue>,
    /// Cohere's list.
    #[serde(borrow)]
    pub documents: Option<&'a RawValue>,
    /// Our own name of the list.
    #[serde(borrow)]
    pub passages: Option<&'a RawValue>,
    /// TEI's option: logits instead of scores.
    pub raw_scores: Option<Flag>,
    /// TEI's option: return the texts.
    pub return_text: Option<Flag>,
    /// TEI's option: whether to truncate what is too long instead of refusing it.
    pub truncate: Option<Flag>,
    /// TEI's option: the end that truncation cuts.
    pub truncation_direction: Option<Direction>,
    /// Our extension of TEI's shape: list what was truncated.
    pub return_cut: Option<Flag>,
    /// Our extension of TEI's shape: each word's contribution to the score.
    pub explain: Option<Flag>,
    /// Cohere's option: number of results.
    pub top_n: Option<Count>,
    /// What several clients call `top_n`.
    pub top_k: Option<Count>,
    /// Cohere's option: return the documents.
    pub return_documents: Option<Flag>,
    /// Cohere's option: the tokens to read of a document.
    pub max_tokens_per_doc: Option<Count>,
    /// Cohere's v1: the fields to read from documents that are objects, in this order.
    #[serde(borrow)]
    pub rank_fields: Option<&'a RawValue>,
    /// The model's name.
    pub model: Option<String>,
    /// Time limit in milliseconds.
    pub deadline_ms: Option<Count>,
    /// The answer after the deadline.
    pub on_deadline: Option<OnDeadline>,
}

/// TEI's `truncation_direction`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Direction {
    /// The start is cut.
    #[serde(alias = "left")]
    Left,
    /// The end is cut.
    #[default]
    #[serde(alias = "right")]
    Right,
}

/// The answer to a request that is not done by its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum OnDeadline {
    /// Status 504.
    Error,
    /// The passages scored so far, and the number of missing ones.
    Partial,
}

impl<'a> RerankFields<'a> {
    /// The documents, at most `most`, under the first of `names` that the request has.
    ///
    /// # Errors
    /// When there is no such list, it is too long, or the request has another list under another
    /// name. (Clients of several servers send one list under two names.)
    pub fn documents(
        &self,
        names: &[&'static str],
        most: usize,
    ) -> Result<Documents<'a>, RequestError> {
        let all = [
            ("texts", self.texts),
            ("documents", self.documents),
            ("passages", self.passages),
        ];
        let given = all
            .into_iter()
            .filter_map(|(name, list)| Some((name, list?)));
        let given: Vec<(&'static str, &RawValue)> = given.collect();
        for pair in given.windows(2) {
            if pair[0].1.get() != pair[1].1.get() {
                let said = format!("`{}` and `{}` differ", pair[0].0, pair[1].0);
                return Err(RequestError::invalid(said));
            }
        }
        let mut named = names
            .iter()
            .filter_map(|name| given.iter().find(|(n, _)| n == name));
        let Some(&(name, list)) = named.next() else {
            let name = names.first().copied().unwrap_or_default();
            return Err(RequestError::invalid(format!("missing field `{name}`")));
        };
        Documents::new(name, list, self.rank_fields()?, most)
    }

    fn rank_fields(&self) -> Result<Option<RankFields>, RequestError> {
        match self.rank_fields {
            Some(raw) => RankFields::new(raw),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    const ALL: [&str; 3] = ["passages", "documents", "texts"];

    fn texts(body: &str, names: &[&'static str]) -> Result<Vec<String>, String> {
        let read = || -> Result<Vec<String>, RequestError> {
            let fields: RerankFields = json::object(body)?;
            let documents = fields.documents(names, 3)?;
            documents.iter().map(|read| Ok(read?.text)).collect()
        };
        read().map_err(|e| e.to_string())
    }

    #[test]
    fn a_list_has_one_of_its_names() {
        for name in ALL {
            let body = format!(r#"{{"{name}": ["a", {{"text": "b"}}]}}"#);
            assert_eq!(texts(&body, &ALL).unwrap(), ["a", "b"]);
            assert_eq!(texts(&body, &[name]).unwrap(), ["a", "b"]);
            let body = format!(r#"{{"{name}": [1]}}"#);
            let error = texts(&body, &ALL).unwrap_err();
            assert!(error.starts_with(&format!("`{name}[0]`: ")), "{error}");
        }
        let both = r#"{"texts": ["a"], "documents": ["a"], "passages": null}"#;
        for name in ["texts", "documents"] {
            assert_eq!(texts(both, &[name]).unwrap(), ["a"]);
        }
        let missing = texts(both, &["passages"]).unwrap_err();
        assert_eq!(missing, "missing field `passages`");
        let error = texts(r#"{"texts": ["a"], "passages": ["b"]}"#, &ALL).unwrap_err();
        assert_eq!(error, "`texts` and `passages` differ");
    }

    #[test]
    fn texts_are_counted() {
        let error = texts(r#"{"texts": [1, 2, 3, 4]}"#, &ALL).unwrap_err();
        assert_eq!(error, "4 texts; a request may have 3");
    }
}
