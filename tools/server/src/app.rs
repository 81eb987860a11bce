//! The state that all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, Semaphore};

use crate::auth::Tokens;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::schedule::Pool;
use crate::settings::ServeSettings;

/// The state that all requests share, whatever transport they arrive by.
pub struct App {
    /// The server's settings.
    pub settings: ServeSettings,
    pub(crate) models: Models,
    pub(crate) pool: Pool,
    pub(crate) metrics: Metrics,
    /// Limits parsing and writing of long bodies to as many threads as score.
    pub(crate) long_work: Arc<Semaphore>,
    /// Asks for a reload of all models.
    pub(crate) reload: Notify,
    tokens: Tokens,
    draining: AtomicBool,
}

/// Why a process should get no requests now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unready {
    /// The server is shutting down.
    Draining,
    /// A scoring thread has ended.
    ThreadEnded,
    /// All slots of the queue are taken.
    QueueFull,
}

impl App {
    /// Opens the models and starts the threads.
    ///
    /// # Errors
    /// When a model cannot be served or a thread cannot be started.
    pub fn open(settings: ServeSettings) -> Result<App, ServeError> {
        let models = Models::open(&settings)?;
        let pool =
            Pool::start(settings.threads, settings.queue).map_err(|source| ServeError::Io {
                what: format!("threads: starting {}", settings.threads),
                source,
            })?;
        let metrics = Metrics::new().map_err(|e| ServeError::Config(format!("metrics: {e}")))?;
        Ok(App {
            tokens: Tokens::new(&settings.tokens),
            models,
            pool,
            metrics,
            long_work: Arc::new(Semaphore::new(settings.threads)),
            reload: Notify::new(),
            draining: AtomicBool::new(false),
            settings,
        })
    }

    /// Whether a request with this bearer token, or with none, may use the models.
    pub fn admits(&self, token: Option<&[u8]>) -> bool {
        self.tokens.admit(token)
    }

    /// Whether the process works at all.
    ///
    /// # Errors
    /// [`Unready::ThreadEnded`]: restart the process.
    pub fn health(&self) -> Result<(), Unready> {
        if self.pool.healthy() {
            Ok(())
        } else {
            Err(Unready::ThreadEnded)
        }
    }

    /// Whether to send requests.
    ///
    /// # Errors
    /// Why not.
    pub fn readiness(&self) -> Result<(), Unready> {
        if self.draining.load(Ordering::Relaxed) {
            return Err(Unready::Draining);
        }
        self.health()?;
        if self.pool.in_flight() >= self.settings.queue {
            return Err(Unready::QueueFull);
        }
        Ok(())
    }

    /// Makes [`App::readiness`] refuse from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Display for Unready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unready::Draining => "shutting down",
            Unready::ThreadEnded => "a scoring thread has ended",
            Unready::QueueFull => "the queue is full",
        })
    }
}
