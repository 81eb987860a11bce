//! What the tests of several crates share.
//!
//! Helpers panic on failure: they run in tests only.

pub mod hub;
pub mod memory;
pub mod models;
pub mod random;
