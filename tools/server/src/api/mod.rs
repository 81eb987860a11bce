//! HTTP: routes, and each API's shape of requests, answers and errors.
//!
//! [`lanerank_requests`] reads bodies, for the command line too. What is HTTP stays here: status
//! codes, which list and which answer a route has, and that a request has a query and a document.
//!
//! A module imports only from modules above it in this table; `tests/order.rs` checks that.
//!
//! | module | purpose |
//! |---|---|
//! | `error` | errors of requests, and the shapes that report them |
//! | `surface` | the types of the table of routes |
//! | `openapi` | the OpenAPI document, from the table of routes |
//! | `unread` | bodies that no handler read |
//! | `observe` | id, metrics and log line of every request |
//! | `body` | reads a body within its limits; runs long work elsewhere |
//! | `submit` | runs a computation with the fields and headers that all shapes share |
//! | `tei` | text-embeddings-inference's shape of reranking |
//! | `cohere` | Cohere's and Jina's shape of reranking |
//! | `rerank` | the rerank routes, each with one shape or both |
//! | `info` | `/info`, `/tokenize` |
//! | `embeddings` | `/v1/embeddings` |
//! | `status` | `/v1/models`, health, metrics and the page |
//! | `routes` | the table of routes, and the router built from it |

mod body;
mod cohere;
mod embeddings;
mod error;
mod info;
mod observe;
mod openapi;
mod rerank;
mod routes;
mod status;
mod submit;
mod surface;
mod tei;
mod unread;

pub use routes::router;
