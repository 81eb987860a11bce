//! The binary's interface: arguments, standard input, output and exit codes.

mod bench;
mod compare;
mod convert;
mod embedded;
mod eval;
mod goldens;
// The library's own tests use the rest of it.
#[allow(dead_code)]
#[path = "../../../convert/tests/hub/server.rs"]
mod hub_server;
mod inspect;
mod models;
mod rerank;
#[cfg(feature = "serve")]
mod serve;
mod sources;
mod support;
mod tokenize;
mod usage;
