//! The fields of a rerank request in all its shapes.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{ApiError, ErrorKind};
use super::json::{Count, Flag};
use super::submit::CommonFields;
use crate::options::OnDeadline;

/// The fields of a rerank request in all its shapes. Lists are not parsed yet.
#[derive(Debug, Deserialize)]
pub(super) struct RerankFields<'a> {
    pub(super) query: String,
    /// TEI's list.
    #[serde(borrow)]
    pub(super) texts: Option<&'a RawValue>,
    /// Cohere's list.
    #[serde(borrow)]
    pub(super) documents: Option<&'a RawValue>,
    pub(super) raw_scores: Option<Flag>,
    pub(super) return_text: Option<Flag>,
    pub(super) truncate: Option<Flag>,
    pub(super) truncation_direction: Option<Direction>,
    /// Our extension of TEI's shape: list what was truncated.
    pub(super) return_cut: Option<Flag>,
    /// Our extension of TEI's shape: each word's contribution to the score.
    pub(super) explain: Option<Flag>,
    pub(super) top_n: Option<Count>,
    /// What several clients call `top_n`.
    pub(super) top_k: Option<Count>,
    pub(super) return_documents: Option<Flag>,
    pub(super) max_tokens_per_doc: Option<Count>,
    /// Cohere's v1: the fields to read from documents that are objects, in this order.
    #[serde(borrow)]
    pub(super) rank_fields: Option<&'a RawValue>,
    model: Option<String>,
    deadline_ms: Option<Count>,
    on_deadline: Option<OnDeadline>,
}

/// TEI's `truncation_direction`.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) enum Direction {
    #[serde(alias = "left")]
    Left,
    #[default]
    #[serde(alias = "right")]
    Right,
}

impl RerankFields<'_> {
    /// The fields that every shape has.
    pub(super) fn common(&mut self) -> CommonFields {
        CommonFields {
            model: self.model.take(),
            deadline_ms: self.deadline_ms,
            on_deadline: self.on_deadline,
        }
    }
}

/// A list that a request must have.
pub(super) fn required<'a>(
    name: &str,
    list: Option<&'a RawValue>,
) -> Result<&'a RawValue, ApiError> {
    list.ok_or_else(|| ApiError::new(ErrorKind::Validation, format!("missing field `{name}`")))
}
