//! Arguments that several commands share.

pub(crate) mod collection;
pub(crate) mod fusion;
pub(crate) mod model;
