//! Reads rerank requests in JSON: one reader for `lanerank rerank`, `lanerank embed` and the routes
//! of `lanerank serve`.
//!
//! ```
//! use lanerank_requests::{RerankFields, json};
//!
//! let body = r#"{"query": "q", "documents": ["a", {"id": 7, "text": "b"}]}"#;
//! let fields: RerankFields = json::object(body)?;
//! let documents = fields.documents(&["documents"], 1000)?;
//! let second = documents.read(1)?;
//! assert_eq!((second.text.as_str(), second.id.unwrap().get()), ("b", "7"));
//! # Ok::<(), lanerank_requests::RequestError>(())
//! ```
//!
//! # Memory
//!
//! No tree of values is built. Unknown fields are skipped, lists are counted while they are parsed,
//! and an element stays the text that was sent until it is read: 16 bytes of each, besides the
//! body.
//!
//! # What is not here
//!
//! The server has status codes, and refuses a request without a query or without documents. The
//! program has lines, files and places, takes its query from an option, too, and reads a list
//! without an object around it.
//!
//! # Order of modules
//!
//! A module imports only from modules above it; a test of the server checks that.
//!
//! | module | purpose |
//! |---|---|
//! | `error` | why a request cannot be read |
//! | `json` | objects, lists and texts |
//! | `scalars` | booleans and numbers as other servers take them |
//! | `documents` | documents that are strings or objects |
//! | `fields` | the fields of a rerank request |

mod documents;
mod error;
mod fields;
pub mod json;
mod scalars;

pub use documents::{Document, Documents, RankFields};
pub use error::RequestError;
pub use fields::{Direction, OnDeadline, RerankFields};
pub use scalars::{Count, Flag};
