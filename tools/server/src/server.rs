//! A server from its first socket to its last request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use crate::api::{App, router};
use crate::listen::{Connections, Sockets};
use crate::models::Reload;
use crate::{ServeError, Settings};

/// What the operating system tells a server.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

/// What a signal asks for.
enum Wish {
    Stop,
    Reload,
}

/// How far a server is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes requests.
    Serving,
    /// It takes none, and finishes those it has.
    Draining,
    /// It leaves those it has.
    Abandoning,
}

impl Signals {
    /// Listens to SIGTERM, SIGINT and SIGHUP from now on.
    ///
    /// # Errors
    /// When the system refuses.
    #[cfg(unix)]
    pub fn new() -> Result<Signals, ServeError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|source| ServeError::Io {
                what: "listening to signals".to_owned(),
                source,
            })
        };
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Listens to Ctrl-C from now on.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn new() -> Result<Signals, ServeError> {
        Ok(Signals {})
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Wish {
        let _ = tokio::signal::ctrl_c().await;
        Wish::Stop
    }
}

/// A server that has its models and its sockets, and answers once it runs.
pub struct Server {
    app: Arc<App>,
    sockets: Sockets,
}

impl Server {
    /// Opens the models, starts the threads, takes the addresses.
    ///
    /// # Errors
    /// What could not be had.
    pub async fn bind(settings: Settings) -> Result<Server, ServeError> {
        let app = App::open(settings)?;
        let sockets = Sockets::bind(&app.settings).await?;
        Ok(Server {
            app: Arc::new(app),
            sockets,
        })
    }

    /// The TCP address, where there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.sockets.address()
    }

    /// Answers until a signal tells it to stop, then finishes what it has taken. A second such
    /// signal, or the drain timeout, ends it at once. SIGHUP has all model files read anew.
    pub async fn run(self, mut signals: Signals) {
        let (phase, watched) = watch::channel(Phase::Serving);
        let app = Arc::clone(&self.app);
        let listening = tokio::spawn(async move {
            loop {
                match signals.next().await {
                    Wish::Reload => reload(&app, true).await,
                    Wish::Stop => phase.send_modify(|phase| {
                        *phase = match phase {
                            Phase::Serving => Phase::Draining,
                            _ => Phase::Abandoning,
                        }
                    }),
                }
            }
        });
        self.run_through(watched).await;
        listening.abort();
    }

    /// Answers until told otherwise, or until nobody is left who could.
    pub async fn run_through(self, mut phase: watch::Receiver<Phase>) {
        let Server { app, sockets } = self;
        let connections = Connections::new(&app);
        let watching = tokio::spawn(watch_models(Arc::clone(&app)));
        tracing::info!(
            models = app.models.names().collect::<Vec<_>>().join(","),
            threads = app.settings.threads,
            "listening on {sockets}"
        );
        let routes = router(Arc::clone(&app));
        tokio::select! {
            () = sockets.accept(&routes, &connections) => {}
            _ = phase.wait_for(|phase| *phase >= Phase::Draining) => {}
        }
        app.draining.store(true, Ordering::Relaxed);
        drop(sockets);
        tracing::info!(
            requests = app.pool.taken(),
            "stopping; finishing what was taken"
        );
        tokio::select! {
            () = connections.drain() => {}
            () = tokio::time::sleep(app.settings.drain_timeout) => {
                tracing::warn!(requests = app.pool.taken(), "drain timeout: left unanswered");
            }
            Ok(_) = phase.wait_for(|phase| *phase == Phase::Abandoning) => {
                tracing::warn!(requests = app.pool.taken(), "told twice to stop: left unanswered");
            }
        }
        watching.abort();
        app.pool.close();
        tracing::info!("stopped");
    }
}

/// Looks now and then whether model files have changed.
async fn watch_models(app: Arc<App>) {
    let Some(interval) = app.settings.reload_interval else {
        return;
    };
    loop {
        tokio::time::sleep(interval).await;
        reload(&app, false).await;
    }
}

async fn reload(app: &Arc<App>, all: bool) {
    let shared = Arc::clone(app);
    let reloading = tokio::task::spawn_blocking(move || {
        for (model, outcome) in shared.models.reload(all) {
            let outcome = match outcome {
                Reload::Taken => {
                    tracing::info!(model, "reloaded");
                    "taken"
                }
                Reload::Refused(e) => {
                    tracing::error!(model, "new file refused, the old model stays: {e}");
                    "refused"
                }
            };
            shared
                .metrics
                .reloads
                .with_label_values(&[model, outcome])
                .inc();
        }
    });
    if let Err(e) = reloading.await {
        tracing::error!("reloading broke off: {e}");
    }
}
