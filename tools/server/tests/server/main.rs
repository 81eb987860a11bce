//! A running server over loopback, as its clients see it.

mod access;
mod compute;
mod lifetime;
mod limits;
#[path = "../../../../tests/common/mod.rs"]
mod models;
mod reload;
mod routes;
mod shapes;
mod support;
