//! The open connections: how many, their timeouts, and which give way.
//!
//! A connection is busy while a request is being answered. One that is not (idle, in the middle of
//! a head, or with an answer that its client does not read) gives way when another client waits for
//! a connection or the server stops.

use std::collections::HashMap;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;

use crate::app::App;

/// Maximum size of a request's head in bytes.
const MAX_HEAD: usize = 64 << 10;
/// Time that a connection has to send its first head, or the next one, before it may have to give
/// way.
const GRACE: Duration = Duration::from_millis(250);
/// Interval at which a waiting client asks again for a connection to give way.
const ROUND: Duration = Duration::from_millis(50);
/// Time in which a connection that gives way must write something of its last answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The open connections.
pub(crate) struct Connections {
    app: Arc<App>,
    permits: Arc<Semaphore>,
    open: Arc<Open>,
}

/// The states of the open connections, by number.
struct Open {
    states: Mutex<HashMap<u64, Arc<State>>>,
    count: watch::Sender<usize>,
    next: AtomicU64,
}

/// The state of a connection.
struct State {
    busy: AtomicBool,
    /// When it was accepted, or when its last answer was ready.
    since: Mutex<Instant>,
    /// Successful writes.
    writes: AtomicU64,
    leaving: AtomicBool,
    leave: Notify,
}

impl State {
    fn new() -> Self {
        State {
            busy: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
            writes: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            leave: Notify::new(),
        }
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Asks it to end after the request that it is busy with.
    fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
        self.leave.notify_one();
    }
}

/// Marks a connection as busy until dropped.
struct Busy(Arc<State>);

impl Busy {
    fn new(state: &Arc<State>) -> Self {
        state.busy.store(true, Ordering::Relaxed);
        Busy(Arc::clone(state))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.since.lock().unwrap_or_else(|e| e.into_inner()) = Instant::now();
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

/// Counts a connection as open, and holds its permit, until dropped.
struct OpenConnection {
    app: Arc<App>,
    open: Arc<Open>,
    number: u64,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.app.metrics.connections.dec();
        self.open.lock().remove(&self.number);
        self.open.count.send_modify(|count| *count -= 1);
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<State>>> {
        self.states.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Connections {
    /// No connections yet.
    pub(crate) fn new(app: &Arc<App>) -> Self {
        Connections {
            permits: Arc::new(Semaphore::new(app.settings.max_connections)),
            open: Arc::new(Open {
                states: Mutex::default(),
                count: watch::channel(0).0,
                next: AtomicU64::new(0),
            }),
            app: Arc::clone(app),
        }
    }

    /// Waits until there may be one more connection.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        loop {
            self.give_way();
            let acquired = Arc::clone(&self.permits).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(ROUND, acquired).await {
                // The semaphore is never closed.
                return permit.ok();
            }
        }
    }

    /// Asks the connection to leave that has not been busy for the longest time, unless one is
    /// about to.
    fn give_way(&self) {
        let states = self.open.lock();
        let quiet = || states.values().filter(|state| !state.is_busy());
        if quiet().any(|state| state.is_leaving()) {
            return;
        }
        if let Some(state) = quiet().min_by_key(|state| state.since())
            && state.since().elapsed() >= GRACE
        {
            state.leave();
        }
    }

    /// Serves a connection on a task of its own.
    pub(crate) fn spawn<S>(
        &self,
        stream: S,
        tls: Option<TlsAcceptor>,
        routes: Router,
        permit: Option<OwnedSemaphorePermit>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = &self.app.settings;
        let (read, write) = (settings.read_timeout, settings.write_timeout);
        let state = Arc::new(State::new());
        let open = OpenConnection {
            app: Arc::clone(&self.app),
            open: Arc::clone(&self.open),
            number: self.open.next.fetch_add(1, Ordering::Relaxed),
            _permit: permit,
        };
        self.app.metrics.connections.inc();
        self.open.count.send_modify(|count| *count += 1);
        self.open.lock().insert(open.number, Arc::clone(&state));
        let stream = Timed {
            stream,
            state: Arc::clone(&state),
            timeout: write,
            stalled: None,
        };
        tokio::spawn(async move {
            let _open = open;
            let Some(tls) = tls else {
                return serve(stream, routes, state, read).await;
            };
            let shaken = tokio::select! {
                shaken = tokio::time::timeout(read, tls.accept(stream)) => shaken,
                () = state.leave.notified() => return,
            };
            match shaken {
                Ok(Ok(stream)) => serve(stream, routes, state, read).await,
                Ok(Err(e)) => tracing::debug!("TLS handshake: {e}"),
                Err(_) => tracing::debug!("TLS handshake: too slow"),
            }
        });
    }

    /// Waits for the connections that are busy; closes the others.
    pub(crate) async fn drain(self) {
        self.open.lock().values().for_each(|state| state.leave());
        let mut count = self.open.count.subscribe();
        // The sender is not dropped.
        let _ = count.wait_for(|&count| count == 0).await;
    }
}

async fn serve<S>(stream: S, routes: Router, state: Arc<State>, timeout: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (routes, requests) = (TowerToHyperService::new(routes), Arc::clone(&state));
    let service = service_fn(move |request| {
        let busy = Busy::new(&requests);
        let answer = routes.call(request);
        async move {
            let _busy = busy;
            answer.await
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = state.leave.notified() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            loop {
                let writes = state.writes.load(Ordering::Relaxed);
                if let Ok(ended) = tokio::time::timeout(PATIENCE, connection.as_mut()).await {
                    break ended;
                }
                if !state.is_busy() && state.writes.load(Ordering::Relaxed) == writes {
                    return tracing::debug!("connection: given up");
                }
            }
        }
    };
    if let Err(e) = ended {
        // The client disconnected, or sent something that is not HTTP.
        tracing::debug!("connection: {e}");
    }
}

/// A stream whose writes fail when the client takes nothing for some time.
struct Timed<S> {
    stream: S,
    state: Arc<State>,
    timeout: Duration,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    /// The outcome of a write, or an error if it has waited for too long.
    fn timed<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            self.state.writes.fetch_add(1, Ordering::Relaxed);
            return written;
        }
        let timeout = self.timeout;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
