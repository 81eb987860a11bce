//! Reads models in other formats and makes lanerank's model files of them.
//!
//! [`import::open`] reads a model folder, a zip archive of one, or a single file of weights:
//! safetensors, PyTorch, ONNX or GGUF. [`convert::convert`] writes its tensors to a `.lane` file.
//! [`hub`] finds models by name, on the Hugging Face hub and in its cache.
//!
//! ```no_run
//! use lanerank_convert::convert::{ConvertOptions, convert};
//! use lanerank_convert::import::{self, Options};
//!
//! let mut source = import::open("ms-marco-TinyBERT-L-2-v2".as_ref(), &Options::default())?;
//! let options = ConvertOptions::default();
//! let (config, tokenizer) = (&source.config, &source.tokenizer);
//! let file = convert(config, tokenizer, &mut *source.tensors, &options, &mut |_, _| ())?;
//! lanerank::format::write::write_file("tinybert.lane".as_ref(), &file)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `onnx` (default): the reader of ONNX files.
//! - `hub`: models by name. Without it there is no network code in the library.

pub mod convert;
mod error;
#[cfg(feature = "hub")]
pub mod hub;
pub mod import;
mod source;

pub use error::Error;
pub use source::{IntegerRows, TensorSource};
