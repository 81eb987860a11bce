//! A ranker or an encoder that survives `fork`.

use std::mem;
use std::process;
use std::sync::Mutex;

use lanerank::{Builder, Error, Model};

type Make<T> = dyn Fn() -> Result<T, Error> + Send + Sync;

/// What was made, and the process it was made in.
struct Made<T> {
    process: u32,
    engine: Option<T>,
}

/// Makes an engine, and makes it anew in a child process: `multiprocessing` may fork, and a fork has
/// neither the threads of the parent's pool nor the threads that held its locks. The model itself is
/// shared.
pub struct Engine<T> {
    make: Box<Make<T>>,
    made: Mutex<Made<T>>,
}

/// A ranker's or an encoder's choices: Python's `None` is the default, and a length beyond the model's is
/// the model's.
pub fn configure<T>(
    builder: Builder<T>,
    model: &Model,
    max_length: Option<usize>,
    threads: Option<usize>,
) -> Builder<T> {
    let mut builder = builder.opened(model.clone());
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
    /// What `make` says.
    pub fn new(make: impl Fn() -> Result<T, Error> + Send + Sync + 'static) -> Result<Self, Error> {
        let made = Made::new(make()?);
        Ok(Engine {
            make: Box::new(make),
            made: Mutex::new(made),
        })
    }

    /// This process's engine. To be called with the interpreter lock held, as forks are: so this
    /// lock is free in every child.
    ///
    /// # Errors
    /// What `make` says.
    pub fn get(&self) -> Result<T, Error> {
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
            // The parent's is forgotten: ending its pool would wait for threads that are not here.
            mem::forget(self.engine.take());
        }
    }
}
