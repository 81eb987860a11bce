//! Test collections, runs and quality measures, as TREC and `trec_eval` define them.

pub mod collection;
pub mod metrics;
pub mod qrels;
pub mod run;
pub mod significance;

pub use collection::Collection;
pub use metrics::{Gain, Metrics};
pub use qrels::Qrels;
pub use run::Run;
