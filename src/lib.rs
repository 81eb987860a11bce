//! lanerank reranks a search engine's candidate passages with a small cross-encoder on a CPU.

mod batch;
mod builder;
pub mod convert;
mod encoder;
mod error;
pub mod format;
mod fuse;
mod layers;
pub mod model;
mod ranker;
mod scoring;
mod scratch;
mod threads;
pub mod tokenizer;

pub use builder::Builder;
pub use encoder::Encoder;
pub use error::Error;
pub use fuse::{Fusion, fuse};
pub use lanerank_kernels as kernels;
pub use model::{CheckReport, Model, Verify};
pub use ranker::{Hit, Ranker, Ranking, RerankOptions};
pub use tokenizer::{Tokenizer, Truncation};
