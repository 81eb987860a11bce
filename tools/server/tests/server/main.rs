//! A running server, as its clients see it, over loopback.

mod access;
mod lifetime;
mod limits;
#[path = "../../../../tests/common/mod.rs"]
mod models;
mod reload;
mod routes;
mod shapes;
mod support;
