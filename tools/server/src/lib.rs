//! `lanerank serve`: reranking over HTTP, in the shapes that clients already speak.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`], [`settings`] | flags, environment and file become what a server runs with |
//! | [`models`] | the models served, and exchanging them while they are |
//! | [`schedule`] | which thread computes what of which request |
//! | [`api`] | the routes, and each peer's shape of requests, answers and errors |
//! | [`server`], [`listen`] | sockets, TLS, connections, shutting down |
//!
//! A request is read and checked on the runtime's threads, takes a place in the queue, and is computed
//! on the pool's. Its handler waits for that, or for the deadline; a client that goes away takes the
//! handler with it, and the handler its place and its work. Scores are the library's, bit for bit: a
//! passage's score does not depend on how a request is cut into pieces.

pub mod api;
mod auth;
pub mod listen;
pub mod log;
mod metrics;
pub mod models;
mod observe;
pub mod options;
pub mod schedule;
pub mod server;
pub mod settings;
mod tls;

use std::fmt;
use std::path::PathBuf;

pub use options::Options;
pub use server::Server;
pub use settings::Settings;

/// Why a server does not start, or stops.
#[derive(Debug)]
pub enum ServeError {
    /// A setting is wrong: which, and how.
    Config(String),
    /// A model cannot be served.
    Model {
        /// What requests would have called it.
        name: String,
        /// Its file.
        path: Option<PathBuf>,
        /// What the library said.
        source: lanerank::Error,
    },
    /// The system refused something.
    Io {
        /// What was to be done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Config(what) => f.write_str(what),
            ServeError::Model { name, path, source } => match (path, source) {
                // This one names its file itself.
                (None, _) | (_, lanerank::Error::Io { .. }) => write!(f, "model {name}: {source}"),
                (Some(path), _) => write!(f, "model {name}: {}: {source}", path.display()),
            },
            ServeError::Io { what, source } => write!(f, "{what}: {source}"),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Config(_) => None,
            ServeError::Model { source, .. } => Some(source),
            ServeError::Io { source, .. } => Some(source),
        }
    }
}

/// Serves until SIGTERM or SIGINT, then finishes what it has taken and returns.
///
/// # Errors
/// When the server cannot start.
pub fn run(settings: Settings) -> Result<(), ServeError> {
    log::start(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.io_threads)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(|source| ServeError::Io {
            what: "starting the runtime".to_owned(),
            source,
        })?;
    runtime.block_on(async {
        // Before the sockets are there, so that no signal finds the server deaf.
        let signals = server::Signals::new()?;
        Server::bind(settings).await?.run(signals).await;
        Ok(())
    })
}
