//! The commands, one module each: its arguments and what it does with them.

pub mod bench;
pub mod convert;
pub mod embed;
pub mod eval;
pub mod inspect;
pub mod rerank;
pub mod tokenize;

mod fusion;
mod model;
