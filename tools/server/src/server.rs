//! Start, signals, reload and shutdown.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::api::router;
use crate::app::App;
use crate::connections::Connections;
use crate::error::ServeError;
use crate::listen::Sockets;
use crate::models::Reload;
use crate::settings::ServeSettings;

/// The signals that a server reacts to.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

/// The action that a signal requests.
enum Action {
    Stop,
    Reload,
}

/// The phases of a server, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Accepts requests.
    Serving,
    /// Accepts none, and finishes the accepted ones.
    Draining,
    /// Abandons the accepted ones.
    Abandoning,
}

impl Signals {
    /// Catches SIGTERM, SIGINT and SIGHUP from now on.
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

    /// Catches Ctrl-C from now on.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(unix))]
    pub fn new() -> Result<Signals, ServeError> {
        Ok(Signals {})
    }

    /// Waits for a signal to stop.
    pub async fn stop(&mut self) {
        while let Action::Reload = self.next().await {}
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Action {
        tokio::select! {
            _ = self.terminate.recv() => Action::Stop,
            _ = self.interrupt.recv() => Action::Stop,
            _ = self.hangup.recv() => Action::Reload,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Action {
        let _ = tokio::signal::ctrl_c().await;
        Action::Stop
    }
}

/// A server with its models open and its sockets bound, ready to run.
pub struct Server {
    app: Arc<App>,
    sockets: Sockets,
}

impl Server {
    /// Opens the models, starts the threads, binds the addresses.
    ///
    /// # Errors
    /// When one of these fails.
    pub async fn bind(settings: ServeSettings) -> Result<Server, ServeError> {
        let app = on_own_thread("open", move || App::open(settings)).await??;
        let sockets = Sockets::bind(&app.settings).await?;
        Ok(Server {
            app: Arc::new(app),
            sockets,
        })
    }

    /// The TCP address, if any.
    pub fn address(&self) -> Option<SocketAddr> {
        self.sockets.address()
    }

    /// Serves until a signal says to stop, then finishes the accepted requests. A second such
    /// signal, or the drain timeout, ends it at once. SIGHUP reloads all model files.
    pub async fn run(self, mut signals: Signals) {
        let (phase, watched) = watch::channel(Phase::Serving);
        let app = Arc::clone(&self.app);
        let listening = tokio::spawn(async move {
            loop {
                match signals.next().await {
                    Action::Reload => app.reload.notify_one(),
                    Action::Stop => phase.send_modify(|phase| {
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

    /// Serves until `phase` says to stop, or its sender is dropped.
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
        app.drain();
        drop(sockets);
        tracing::info!(
            requests = app.pool.in_flight(),
            "stopping; finishing accepted requests"
        );
        tokio::select! {
            () = connections.drain() => {}
            () = tokio::time::sleep(app.settings.drain_timeout) => {
                let requests = app.pool.in_flight();
                tracing::warn!(requests, "drain timeout: requests abandoned");
            }
            Ok(_) = phase.wait_for(|phase| *phase == Phase::Abandoning) => {
                let requests = app.pool.in_flight();
                tracing::warn!(requests, "second signal to stop: requests abandoned");
            }
        }
        watching.abort();
        app.pool.close();
        tracing::info!("stopped");
    }
}

/// Reloads changed model files at the configured interval, and all at a request.
async fn watch_models(app: Arc<App>) {
    loop {
        let requested = app.reload.notified();
        let all = match app.settings.reload_interval {
            None => {
                requested.await;
                true
            }
            Some(interval) => tokio::time::timeout(interval, requested).await.is_ok(),
        };
        reload(&app, all).await;
    }
}

/// Reloads on a thread of its own that nothing waits for when the server stops: reading a file may
/// take forever, such as from a network disk that is gone.
async fn reload(app: &Arc<App>, all: bool) {
    let shared = Arc::clone(app);
    let done = on_own_thread("reload", move || {
        for (model, outcome) in shared.models.reload(all) {
            let outcome = match outcome {
                Reload::Taken => {
                    tracing::info!(model, "reloaded");
                    "taken"
                }
                Reload::Refused(e) => {
                    tracing::error!(model, "new file refused, the old model stays in use: {e}");
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
    if let Err(e) = done.await {
        tracing::error!("reload aborted: {e}");
    }
}

/// Runs `work` on a thread that ends by itself.
async fn on_own_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServeError> {
    let failed = |source| ServeError::Io {
        what: format!("the thread `{name}`"),
        source,
    };
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread
        .spawn(move || {
            // The receiver is gone if the server has stopped.
            let _ = tell.send(work());
        })
        .map_err(failed)?;
    told.await
        .map_err(|_| failed(std::io::Error::other("aborted")))
}
