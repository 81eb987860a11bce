//! Measures lanerank: requests, kernels against the machine's peaks, and saved work.
//!
//! `lanerank bench` prints what this crate measures; `cargo bench` runs the same cases and models
//! under criterion. Modules use only those above them in this list:
//!
//! * [`error`]: why a measurement could not be made; [`stopwatch`], [`statistics`]: times and
//!   their summary.
//! * [`workload`]: the requests to time; [`requests`], [`callers`]: their latencies, alone and
//!   under concurrent callers.
//! * [`operands`]: operands that own their memory; [`cases`]: the kernels to time; [`peaks`]: the
//!   machine's limits; [`kernels`]: the kernels against those limits.
//! * [`random_model`]: models of any shape; [`curve`]: time against tokens or layers.
//! * [`floor`]: the least time of a request's arithmetic; [`saved_kernels`], [`saved`]: what each
//!   optimisation saves.
//! * [`plot`]: pictures of the kernels and of the curves.

pub mod callers;
pub mod cases;
pub mod curve;
pub mod error;
pub mod floor;
pub mod kernels;
pub mod operands;
pub mod peaks;
pub mod plot;
pub mod random_model;
pub mod requests;
pub mod saved;
pub mod saved_kernels;
pub mod statistics;
pub mod stopwatch;
pub mod workload;

/// Called with the number of finished measurements and their total, before the first and after
/// each.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize);
