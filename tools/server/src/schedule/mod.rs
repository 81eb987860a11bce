//! Who computes what when.
//!
//! A fixed set of threads, one a core, each calling the library on itself alone. Requests stand in a
//! ring: a thread takes the first, takes a piece of its work, and puts it at the end while it has more.
//! So requests share the cores evenly, and a small one waits for at most a piece of each of those
//! before it, however large they are. A piece is a few hundred tokens; where nobody else waits, it is
//! small enough that all threads have something to do with the one request there is.

mod pool;
mod task;

pub use pool::{Full, Pool, Ticket};
pub use task::{Outcome, Output, Task, TaskError, TaskOptions, Work};
