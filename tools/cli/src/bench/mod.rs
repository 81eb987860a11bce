//! Measuring requests: what is asked, how often, and what comes out.

pub mod statistics;
pub mod workload;
