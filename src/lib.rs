//! lanerank reranks a search engine's candidate passages with a small cross-encoder on an ordinary
//! CPU.
//!
//! A cross-encoder reads a query and a passage together and scores how well the passage answers the
//! query. It is far better at this than the word counts or vector distances that found the passage,
//! and far slower. This crate makes it fast. A model is one `.lane` file with its tokenizer inside,
//! mapped and used in place; a small one, the [`default_model`], is in the crate. The arithmetic is
//! in [`kernels`]. There is no framework below.
//!
#![cfg_attr(feature = "embedded-model", doc = "```")]
#![cfg_attr(not(feature = "embedded-model"), doc = "```no_run")]
//! use lanerank::Ranker;
//!
//! let ranker = Ranker::new()?;
//! let passages = [
//!     "The lighthouse was built in 1847.",
//!     "The refrigerator dries bread out; a paper bag in a closed box keeps it longest.",
//! ];
//! let hits = ranker.rerank("how do I keep bread fresh", &passages)?;
//! for hit in &hits {
//!     println!("{:.3}  {}", hit.score, passages[hit.index]);
//! }
//! assert_eq!(hits[0].index, 1);
//! # Ok::<(), lanerank::Error>(())
//! ```
//!
//! Other models: `Ranker::builder().model("model.lane").build()`.
//!
//! # What a score depends on
//!
//! Only on the query, the passage and the model, bit for bit: not on other passages of the request,
//! their order or the number of threads. From an int8 file the bits are the same on every kernel
//! tier, too. f32 and f16 files agree between tiers within 1e-4.
//!
//! # From text to ranking
//!
//! | step | module | content |
//! |---|---|---|
//! | text to ids | [`tokenizer`] | WordPiece or Unigram, the ids of Hugging Face's `tokenizers` |
//! | ids to a sequence | `tokenizer::frame` | special tokens, truncation, positions, token types |
//! | sequences to a batch | `batch`, `scorer` | back to back, without padding |
//! | batch to vectors | [`model::architectures`], `layers` | embeddings, attention, feed-forward |
//! | vectors to logits | `layers::head` | pooler and classifier, or cosine |
//! | request to batches | `engine`, `threads` | hundreds of tokens at a time, on several threads |
//! | logits to ranking | [`Ranker`] | stable sort, top-k, [`fuse()`] |
//!
//! All tiers, the reference included, skip work that a cross-encoder does not need: padding, the
//! last layer's rows except the first token's, and the query's tokens in all pairs after the first
//! ([`model::architectures::bert`] has the algebra). Passages are computed in the order of the
//! request, by whichever thread is free. So a deadline leaves the first stage's best scored, and
//! memory does not grow with the number of passages.
//!
//! # Making a model file
//!
//! The crate `lanerank-convert` (`lanerank convert` on the command line) reads models in other
//! formats, finds them by name on the Hugging Face hub, and writes model files. [`mod@format`]
//! describes the bytes of the file.
//!
//! # Features
//!
//! Both are on by default.
//!
//! - `embedded-model`: the [`default_model`] inside the program, at most 5 MB. Without it
//!   [`Ranker::new`] and [`Model::embedded`] give an error that names the feature.
//! - `rayon`: a persistent thread pool, so that one request can use several cores.
//!
//! # Debug builds
//!
//! Cargo compiles the dependencies of a debug build without optimisation, and an intrinsic is then
//! a call: 100 passages of 20 words take 1.0 s with AMX, 2.5 s with AVX-512 and 8.6 s with AVX2.
//! These lines in your `Cargo.toml` make that 0.08, 0.09 and 0.32 s (two busy cores of an Intel
//! Xeon, 2026-11-28), and leave your own code as it is:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 3
//! ```
//!
//! # Safety and hostile input
//!
//! The library's only `unsafe` is the mapped file ([`Model::map`] states the contract). Intrinsics
//! are in the kernels crate. Model files, tokenizer sections and texts may hold anything: bad ones
//! give an [`Error`] that names what was wrong, or a defined score, never a panic.

// From the ground up: a module imports only from modules above it (`tests/layers.rs` checks this).

mod error;

mod sync;

// Shape and rules of a model.
mod config;

// Weights as data.
pub mod schema;

// The model file.
pub mod format;

// Text to ids.
pub mod tokenizer;

// Ids to a batch.
mod batch;

// A worker's memory.
mod scratch;

// The parts of models.
mod layers;

pub mod default_model;

// Architectures, and opening a model.
pub mod model;

// Texts to scores, on one thread.
mod scorer;

// `Model::check`.
mod check;

mod threads;

// A request on several threads.
mod engine;

mod fuse;

mod encoder;

mod ranker;

mod estimate;

mod explain;

mod builder;

pub use builder::Builder;
pub use check::CheckReport;
pub use encoder::Encoder;
pub use error::Error;
pub use estimate::Estimate;
pub use explain::{Explanation, Span};
pub use fuse::{Fusion, fuse};
pub use lanerank_kernels as kernels;
pub use model::open::{Model, Verify};
pub use ranker::{Hit, Query, Ranker, Ranking, RerankOptions};
pub use threads::max_threads;
pub use tokenizer::{Tokenizer, Truncation, TruncationSide};

/// Runs the README's example.
#[cfg(all(doctest, feature = "embedded-model"))]
#[doc = include_str!("../README.md")]
struct Readme;
