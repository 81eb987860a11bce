//! The binary as its users see it: arguments, standard input, output and exit codes.

mod convert;
mod embedded;
mod eval;
mod goldens;
mod inspect_bench;
mod rerank;
mod support;
mod tokenize;
mod usage;
