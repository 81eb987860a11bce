//! The model file.

pub mod source;
pub mod storage;
