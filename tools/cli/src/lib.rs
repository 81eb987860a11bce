//! The command line of lanerank, as a library: tests and fuzzers reach its parsers.

pub mod bench;
pub mod entries;
pub mod eval;
pub mod failure;
pub mod input;
pub mod output;
pub mod passages;
pub mod table;
