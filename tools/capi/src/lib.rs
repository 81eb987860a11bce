//! The C interface of lanerank. cbindgen generates `include/lanerank.h` from this crate.
//!
//! No panic crosses the interface: every function catches panics and returns
//! [`LanerankStatus::Internal`]. Arguments are checked as far as possible: pointers for null and
//! alignment, lengths against the maximum size of an object, texts for UTF-8.

#![allow(unsafe_code, reason = "C passes raw pointers")]

mod error;
mod open;
mod score;
mod text;

pub use error::{LanerankStatus, lanerank_last_error};
pub use open::{
    LanerankOptions, LanerankRanker, lanerank_free, lanerank_max_length, lanerank_open_default,
    lanerank_open_file, lanerank_open_memory, lanerank_threads, lanerank_version,
};
pub use score::{LanerankHit, lanerank_rerank, lanerank_scores};
pub use text::LanerankText;
