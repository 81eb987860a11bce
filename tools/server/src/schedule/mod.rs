//! The thread pool: which thread computes which piece of which request.
//!
//! A fixed set of threads, one per core, each calls the library single-threaded. Requests stand in
//! a ring: a thread takes the first request, takes a piece of its work, and puts the request at the
//! end if more is left. So requests share the cores evenly, and a small request waits for at most
//! one piece of each request before it, however large those are. A piece is a few hundred tokens.
//! When no other request waits, pieces are small enough that every thread gets some of the only
//! request.

mod pool;
mod task;

pub(crate) use pool::{Pool, QueueFull};
pub use task::{Operation, TaskError};
pub(crate) use task::{Outcome, Output, Task, TaskOptions};
