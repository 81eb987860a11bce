//! The binary's interface: arguments, standard input, output and exit codes.

mod bench;
mod compare;
mod convert;
mod doctor;
mod embedded;
mod eval;
mod goldens;
mod inspect;
mod lookalikes;
mod models;
mod requests;
mod rerank;
mod serve;
mod shell;
mod sources;
mod support;
mod tokenize;
mod usage;
