//! A ranker or an encoder that survives `fork`.

use std::mem::ManuallyDrop;
use std::process;
use std::sync::Mutex;

use lanerank::Error;

type Make<T> = dyn Fn() -> Result<T, Error> + Send + Sync;

struct Made<T> {
    /// The process it was made in.
    process: u32,
    engine: ManuallyDrop<T>,
}

/// Makes an engine, and makes it anew in a child process: `multiprocessing` may fork, and a fork has
/// neither the threads of the parent's pool nor the threads that held its locks. The model itself is
/// shared.
pub struct Engine<T> {
    make: Box<Make<T>>,
    made: Mutex<Made<T>>,
}

impl<T: Clone> Engine<T> {
    /// Makes the first engine.
    ///
    /// # Errors
    /// What `make` says.
    pub fn new(make: impl Fn() -> Result<T, Error> + Send + Sync + 'static) -> Result<Self, Error> {
        let made = Mutex::new(Made::new(make()?));
        Ok(Engine {
            make: Box::new(make),
            made,
        })
    }

    /// This process's engine. To be called with the interpreter lock held, as forks are: so this
    /// lock is free in every child.
    ///
    /// # Errors
    /// What `make` says.
    pub fn get(&self) -> Result<T, Error> {
        let mut made = self.made.lock().unwrap_or_else(|e| e.into_inner());
        if made.process != process::id() {
            // The parent's is forgotten: ending its pool would wait for threads that are not here.
            *made = Made::new((self.make)()?);
        }
        Ok(T::clone(&made.engine))
    }
}

impl<T> Made<T> {
    fn new(engine: T) -> Self {
        Made {
            process: process::id(),
            engine: ManuallyDrop::new(engine),
        }
    }
}

impl<T> Drop for Engine<T> {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(|e| e.into_inner());
        if made.process == process::id() {
            // SAFETY: nothing uses the engine after this, the drop of its owner.
            #[allow(unsafe_code)]
            unsafe {
                ManuallyDrop::drop(&mut made.engine);
            }
        }
    }
}
