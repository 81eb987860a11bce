//! Converts models from other formats to lanerank's model files.
//!
//! [`import::open`] reads a model folder, a zip archive of one, or a single file of weights:
//! safetensors, PyTorch, ONNX or GGUF. [`Source::convert`](import::Source::convert) makes a `.lane`
//! file of it. `hub` finds models by name, on the Hugging Face hub and in its cache.
//!
//! ```no_run
//! use lanerank_convert::convert::ConvertOptions;
//! use lanerank_convert::import::{self, Options};
//!
//! let mut source = import::open("ms-marco-TinyBERT-L-2-v2".as_ref(), &Options::default())?;
//! let file = source.convert(&ConvertOptions::default(), &mut |_, _| ())?;
//! lanerank::format::write::write_file("tinybert.lane".as_ref(), &file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Order of the modules
//!
//! A module imports from modules above it, never from below:
//!
//! | module | contents |
//! |---|---|
//! | `source`, `error` | [`TensorSource`], which a reader implements; [`Error`] |
//! | [`convert`] | tensors to the bytes of a model file |
//! | [`import`] | the readers; its page has the order inside |
//! | [`cache`] | converted files, each made once |
//! | `hub` | models by name |
//!
//! # Features
//!
//! - `onnx` (default): the reader of ONNX files.
//! - `hub`: models by name. Without it there is no network code in the library.

pub mod cache;
pub mod convert;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
pub mod import;
mod source;

pub use error::Error;
pub use source::{IntegerRows, TensorSource};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
