//! Locks, and memory that threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex. A poisoned lock is taken too: nothing here leaves shared data half written, so a
/// panic of another thread is no reason to fail.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory that is lent to one user at a time and reused by the next.
#[derive(Debug)]
pub(crate) struct Pool<M>(Mutex<Vec<M>>);

impl<M> Default for Pool<M> {
    fn default() -> Self {
        Pool(Mutex::default())
    }
}

impl<M: Default> Pool<M> {
    /// Gives `work` an element of the pool, or a new one, and puts it back afterwards.
    pub(crate) fn lend<T>(&self, work: impl FnOnce(&mut M) -> T) -> T {
        let mut memory = lock(&self.0).pop().unwrap_or_default();
        let result = work(&mut memory);
        lock(&self.0).push(memory);
        result
    }
}
