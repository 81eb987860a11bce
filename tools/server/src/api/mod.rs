//! HTTP: routes, and each API's shape of requests, answers and errors.
//!
//! A module imports only from modules above it in this table; `tests/order.rs` checks that.
//!
//! | module | purpose |
//! |---|---|
//! | `error` | errors of requests, and the shapes that report them |
//! | `surface` | the types of the table of routes |
//! | `openapi` | the OpenAPI document, from the table of routes |
//! | `observe` | id, metrics and log line of every request |
//! | `body` | reads a JSON body within its limits |
//! | `submit` | runs a computation with the fields and headers that all shapes share |
//! | `tei` | `/rerank` |
//! | `cohere` | `/v1/rerank`, `/v2/rerank` |
//! | `embeddings` | `/v1/embeddings` |
//! | `status` | `/v1/models`, health, metrics and the page |
//! | `routes` | the table of routes, and the router built from it |

mod body;
mod cohere;
mod embeddings;
mod error;
mod observe;
mod openapi;
mod routes;
mod status;
mod submit;
mod surface;
mod tei;

pub use routes::router;
