//! Measuring: requests, kernels against the machine's peaks, and what comes out.
//!
//! * `workload.rs`: which requests; `requests.rs`, `callers.rs`: how long they take.
//! * `cases.rs`: which kernels; `kernels.rs`: how fast they are; `peaks.rs`: how fast they could be.
//! * `curve.rs`: how time grows with tokens and layers; `saved.rs`, `saved_kernels.rs`: what work that
//!   is not done saves; `floor.rs`: the least that is left.
//! * `plot.rs`: pictures.

pub mod callers;
pub mod cases;
pub mod curve;
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
