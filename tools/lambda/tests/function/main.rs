//! The function's process, tested as Lambda runs it: a runtime API on loopback sends it the events
//! of API Gateway, load balancers and function URLs.

mod answers;
mod emulator;
mod events;
mod failures;
