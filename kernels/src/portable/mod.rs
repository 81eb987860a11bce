//! The portable tier, on the `wide` crate.
pub(crate) use crate::reference::*;
