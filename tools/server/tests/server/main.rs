//! A running server over loopback, as its clients see it.

mod access;
mod compute;
mod lifetime;
mod limits;
mod reload;
mod routes;
mod shapes;
mod support;
