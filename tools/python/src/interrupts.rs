//! Ctrl-C during long calls. Python runs signal handlers on its main thread only, and native code
//! has to ask for them.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;

/// How often a thread that waits asks for signals.
const ASK_EVERY: Duration = Duration::from_millis(20);

thread_local! {
    /// Whether this is Python's main thread, and the process in which that was found out: after a
    /// fork the forking thread is the main thread.
    static MAIN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    /// What a signal handler raised.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Finds out whether this thread runs signal handlers. Call it before a long call.
pub(crate) fn prepare(py: Python<'_>) {
    let process = process::id();
    if MAIN.get().is_some_and(|(known, _)| known == process) {
        return;
    }
    let is_main = || -> PyResult<bool> {
        let threading = py.import("threading")?;
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        main.eq(threading.call_method0("get_ident")?)
    };
    MAIN.set(Some((process, is_main().unwrap_or(true))));
}

/// Runs the handlers of signals that have arrived. Returns whether one of them raised an exception,
/// which is then kept for [`raised`].
pub(crate) fn arrived() -> bool {
    if !MAIN.get().is_none_or(|(_, is_main)| is_main) {
        return false;
    }
    let error = Python::try_attach(|py| py.check_signals().err()).flatten();
    let arrived = error.is_some();
    if arrived {
        RAISED.set(error);
    }
    arrived
}

/// The exception of this thread's last interruption.
pub(crate) fn raised() -> PyErr {
    RAISED
        .take()
        .unwrap_or_else(|| PyKeyboardInterrupt::new_err(()))
}

/// Tells work on another thread that nobody waits for it any more.
#[derive(Clone, Default)]
pub(crate) struct Abandoned(Arc<AtomicBool>);

impl Abandoned {
    /// Ends this thread if nobody waits for it. Unwinds, because a conversion has no other way out;
    /// files and locks are released on the way.
    pub(crate) fn check(&self) {
        if self.0.load(Ordering::Relaxed) {
            resume_unwind(Box::new("abandoned"));
        }
    }
}

/// Runs `work` on a thread of its own and waits for it, with the interpreter lock released. After a
/// signal it waits no longer.
///
/// # Errors
/// What a signal handler raised; `RuntimeError` if there is no thread to be had.
pub(crate) fn waiting<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(Abandoned) -> T + Send + 'static,
) -> PyResult<T> {
    prepare(py);
    let abandoned = Abandoned::default();
    let (tell, told) = mpsc::sync_channel(1);
    let theirs = abandoned.clone();
    let started = thread::Builder::new()
        .name("lanerank-open".into())
        .spawn(move || {
            // Nobody may be waiting.
            let _ = tell.send(work(theirs));
        });
    if let Err(e) = started {
        return Err(PyRuntimeError::new_err(format!("no thread: {e}")));
    }
    py.detach(move || {
        loop {
            match told.recv_timeout(ASK_EVERY) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err(
                        "a bug in lanerank; please report it",
                    ));
                }
                Err(RecvTimeoutError::Timeout) if arrived() => {
                    abandoned.0.store(true, Ordering::Relaxed);
                    return Err(raised());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    })
}
