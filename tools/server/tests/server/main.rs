//! A running server, as its clients see it, over loopback.

mod access;
mod lifetime;
mod limits;
mod reload;
mod routes;
mod shapes;
mod support;
