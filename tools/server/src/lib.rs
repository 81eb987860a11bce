//! `lanerank serve`: reranking over HTTP, in the request shapes that existing clients send.
//!
//! A request is read and checked on the runtime's threads (a long body on others), takes a slot in
//! the queue, and is computed on the pool's threads. Its handler waits for the result or the
//! deadline. When a client disconnects, its handler is dropped, which frees the slot and cancels
//! the work. Scores are the library's, bit for bit: a passage's score does not depend on how a
//! request is cut into pieces.
//!
//! # Order of modules
//!
//! A module imports only from modules above it in this table; `tests/order.rs` checks that. Modules
//! above [`api`] know nothing of HTTP, so another transport (gRPC, a queue) can stand on
//! [`compute`].
//!
//! | module | purpose |
//! |---|---|
//! | `error` | why a server does not start |
//! | `options` | flags, environment variables and the TOML file |
//! | `settings` | options with defaults filled in and values checked |
//! | `log` | log lines on standard error |
//! | `auth` | bearer tokens |
//! | `metrics` | the counters behind `/metrics` |
//! | `models` | the served models, and replacing them at run time |
//! | `schedule` | the thread pool: which thread computes which piece of which request |
//! | `app` | the state that all requests share |
//! | `compute` | limits, queue, deadline and ranking: from texts to results |
//! | `api` | HTTP: routes, and each API's shape of requests, answers and errors |
//! | `tls` | certificates |
//! | `connections` | the open connections: timeouts, and which give way |
//! | `listen` | sockets |
//! | `server` | start, signals, reload, shutdown |

pub mod api;
mod app;
mod auth;
pub mod compute;
mod connections;
mod error;
mod listen;
pub mod log;
mod metrics;
mod models;
mod options;
mod schedule;
mod server;
mod settings;
mod tls;

pub use app::{App, Unready};
pub use error::ServeError;
pub use lanerank_requests::OnDeadline;
pub use options::{LogFormat, ServeOptions};
pub use server::{Phase, Server, Signals};
pub use settings::{ModelSource, ServeSettings, TlsFiles};

/// Serves until SIGTERM or SIGINT, then finishes the accepted requests and returns.
///
/// # Errors
/// When the server cannot start.
pub fn run(settings: ServeSettings) -> Result<(), ServeError> {
    log::start(&settings)?;
    start_threads(settings.io_threads)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.io_threads)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|source| ServeError::Io {
            what: "starting the runtime".to_owned(),
            source,
        })?;
    let ended = runtime.block_on(async {
        // Before the sockets exist, so that no signal is missed.
        let mut signals = Signals::new()?;
        let server = tokio::select! {
            bound = Server::bind(settings) => bound?,
            () = signals.stop() => return Ok(()),
        };
        server.run(signals).await;
        Ok(())
    });
    // Whatever still runs, such as a read that blocks, does not delay the end.
    runtime.shutdown_background();
    ended
}

/// Starts and ends as many threads as the runtime will have, which panics if the system refuses.
fn start_threads(count: usize) -> Result<(), ServeError> {
    let (wait, waiting) = std::sync::mpsc::channel::<()>();
    let waiting = std::sync::Arc::new(std::sync::Mutex::new(waiting));
    let start = || {
        let waiting = std::sync::Arc::clone(&waiting);
        // Ends when the sender is dropped.
        std::thread::Builder::new().spawn(move || drop(waiting.lock().map(|end| end.recv())))
    };
    let started: Result<Vec<_>, _> = (0..count).map(|_| start()).collect();
    drop(wait);
    for thread in started.map_err(|source| ServeError::Io {
        what: format!("io-threads: starting {count}"),
        source,
    })? {
        // Such a thread does not panic.
        let _ = thread.join();
    }
    Ok(())
}
