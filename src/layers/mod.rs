//! The parts that models are built of. Each takes its sections out of the file when a model is
//! opened, and computes with the kernels on slices of the scratch memory.

pub(crate) mod attention;
pub(crate) mod embeddings;
pub(crate) mod feed_forward;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod loader;
pub(crate) mod norm;
pub(crate) mod table;
