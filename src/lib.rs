//! lanerank reranks a search engine's candidate passages with a small cross-encoder on a CPU.

pub mod error;
pub mod format;
pub mod model;
pub mod tokenizer;

pub use error::Error;
pub use lanerank_kernels as kernels;
