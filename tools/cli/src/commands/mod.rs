//! The commands, one module each: its arguments and what it does with them.

pub mod bench;
pub mod compare;
pub mod convert;
pub mod embed;
pub mod eval;
pub mod inspect;
pub mod models;
pub mod rerank;
#[cfg(feature = "serve")]
pub mod serve;
pub mod tokenize;

mod collection;
mod estimate;
mod explain;
mod fusion;
mod model;

pub use model::{RankerArgs, map};
