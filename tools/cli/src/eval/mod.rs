//! Judging rankings: test collections, runs and the field's measures.

pub mod collection;
pub mod metrics;
pub mod qrels;
pub mod run;
pub mod significance;

pub use collection::Collection;
pub use metrics::{Gain, Metrics};
pub use qrels::Qrels;
pub use run::Run;
