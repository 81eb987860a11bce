//! The C interface of lanerank: `include/lanerank.h`, made of this crate by cbindgen.
//!
//! Nothing here panics across the border: every function catches, and gives
//! [`LanerankStatus::Internal`]. What a function was given is checked as far as it can be: pointers for
//! null and alignment, lengths for being possible, texts for being UTF-8.

#![allow(unsafe_code, reason = "pointers are what C hands over")]

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
