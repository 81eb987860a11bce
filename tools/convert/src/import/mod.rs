//! Readers of models in other formats.
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
//! Readers never run code from a source and never write to disk. A model that a reader does not
//! understand completely is refused with an [`ImportError`] that names the part it does not know.
//!
//! # Memory
//!
//! Sources may be hostile, so what reading one holds is bounded by its size: at most
//! [`SOURCE_FACTOR`] bytes for each byte of its files, and [`FIXED_BYTES`]; never more than
//! [`MOST_BYTES`]. A conversion, and the check of an ONNX graph, hold besides at most
//! [`MODEL_FACTOR`] bytes for each byte of the model's weights in f32, and computing a node of a
//! graph [`NODE_BYTES`]. The readers of a source share one `Budget` for this. `tests/allocations`
//! measures every reader, on ordinary and on hostile files.
//!
//! # Order of the modules
//!
//! A module imports from modules above it, never from below:
//!
//! | modules | contents |
//! |---|---|
//! | `error`, `options`, `entries`, `elements`, `stream` | shared types |
//! | `pointer`, `nonfinite`, `refusals` | what is refused or read by its first bytes or its name |
//! | `names`, `labels` | names of tensors and of labels |
//! | `budget` | the memory that reading may take |
//! | `archive`, `files` | a folder or a zip archive as one set of files |
//! | `source`, `weights` | what readers return |
//! | `safetensors`, `shards`, `pytorch`, `onnx`, `gguf` | the five readers |
//! | `detect` | which files of a source are the weights, and their format |
//! | `huggingface` | configuration and tokenizer of a folder; picks the reader of its weights |
//! | this module | [`open`] |

mod archive;
mod budget;
mod detect;
mod elements;
mod entries;
mod error;
mod files;
mod gguf;
mod huggingface;
mod labels;
mod names;
mod nonfinite;
#[cfg(feature = "onnx")]
mod onnx;
mod options;
mod pointer;
mod pytorch;
pub(crate) mod refusals;
mod safetensors;
mod shards;
mod source;
mod stream;
mod weights;

use std::path::Path;

#[cfg(feature = "hub")]
pub(crate) use budget::LONGEST_TEXT;
pub use budget::{FIXED_BYTES, MODEL_FACTOR, MOST_BYTES, NODE_BYTES, SOURCE_FACTOR};
pub use detect::is_lane;
pub use entries::Entries;
pub use error::ImportError;
pub use huggingface::{tokenizer_json, vocab_txt};
pub use options::{Kind, Options};
pub use source::Source;

use options::{check_max_length, check_pooling};

/// Opens a source: a model folder, a zip archive of one, or a file of weights with the rest of the
/// model next to it. Detects the format and refuses models that lanerank does not run.
///
/// Weights are read during conversion. Before that, only files inside an archive are in memory.
///
/// # Errors
/// When a file is missing or wrong, or the model is of a kind that lanerank does not run.
pub fn open(path: &Path, options: &Options) -> Result<Source, ImportError> {
    let found = detect::find(path, options.kind)?;
    match found.kind {
        Kind::Gguf => gguf::open(found.files.open(&found.weights)?, options),
        kind => huggingface::open(&found.files, kind, &found.weights, options),
    }
}
