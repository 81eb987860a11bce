//! The parts that models are built of. Each takes its sections out of the file at open and computes
//! with the kernels on slices of the scratch arena.

pub mod attention;
pub mod embeddings;
pub mod feed_forward;
pub mod head;
pub mod linear;
pub mod norm;
pub mod table;
