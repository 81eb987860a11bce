#![doc = include_str!("FORMAT.md")]

pub mod checksum;
pub mod config;
pub mod directory;
pub mod header;
pub mod mapped;
pub mod metadata;
pub(crate) mod sections;
pub mod self_test;
pub mod storage;
pub mod write;
