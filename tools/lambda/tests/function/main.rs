//! The function's process, as Lambda sees it: a runtime API on loopback hands it the events that API
//! Gateway, load balancers and function URLs send.

mod answers;
mod emulator;
mod events;
mod failures;
