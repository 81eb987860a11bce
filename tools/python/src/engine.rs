//! A ranker or an encoder that survives `fork`.

use std::mem;
use std::process;
use std::sync::Mutex;

use lanerank::{Builder, Error, Model};
use pyo3::Python;

use crate::interrupts;

type Make<T> = dyn Fn() -> Result<T, Error> + Send + Sync;

/// An engine, and the process that made it.
struct Made<T> {
    process: u32,
    engine: Option<T>,
}

/// Makes an engine, and makes it again in a forked child process: a fork has neither the threads of
/// the parent's pool nor the threads that held its locks. The model is shared.
pub(crate) struct Engine<T> {
    make: Box<Make<T>>,
    made: Mutex<Made<T>>,
}

/// Settings of a ranker or an encoder. Python's `None` is the default; a length beyond the model's
/// is reduced to it.
pub(crate) fn configure<T>(
    builder: Builder<T>,
    model: &Model,
    max_length: Option<usize>,
    threads: Option<usize>,
) -> Builder<T> {
    let mut builder = builder.opened(model.clone()).interrupt(interrupts::arrived);
    if let Some(tokens) = max_length {
        builder = builder.max_length(tokens.min(model.config().max_length));
    }
    if let Some(count) = threads {
        builder = builder.threads(count);
    }
    builder
}

impl<T: Clone> Engine<T> {
    /// Makes the first engine.
    ///
    /// # Errors
    /// Errors of `make`.
    pub(crate) fn new(
        make: impl Fn() -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let made = Made::new(make()?);
        Ok(Engine {
            make: Box::new(make),
            made: Mutex::new(made),
        })
    }

    /// This process's engine. Forks happen with the interpreter lock held, which the caller has, so
    /// this lock is free in every child.
    ///
    /// # Errors
    /// Errors of `make`.
    pub(crate) fn get(&self, py: Python<'_>) -> Result<T, Error> {
        interrupts::prepare(py);
        let mut made = self.made.lock().unwrap_or_else(|e| e.into_inner());
        match &made.engine {
            Some(engine) if made.process == process::id() => Ok(engine.clone()),
            _ => {
                let engine = (self.make)()?;
                *made = Made::new(engine.clone());
                Ok(engine)
            }
        }
    }
}

impl<T> Made<T> {
    fn new(engine: T) -> Self {
        Made {
            process: process::id(),
            engine: Some(engine),
        }
    }
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        if self.process != process::id() {
            // The parent's engine is leaked: dropping its pool would wait for threads that do not
            // exist here.
            mem::forget(self.engine.take());
        }
    }
}
