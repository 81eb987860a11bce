//! The commands, one module each: its arguments and what it does.

#[cfg(feature = "bench")]
pub mod bench;
pub mod compare;
pub mod convert;
pub mod doctor;
pub mod embed;
pub mod eval;
pub mod inspect;
#[cfg(feature = "hub")]
pub mod models;
pub mod rerank;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "shell")]
pub mod shell;
pub mod tokenize;

mod arguments;
mod estimate;
mod explain;

pub use arguments::model::{RankerArgs, map, resolve};
