//! The threads, and the ring of tasks that they take pieces from.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use lanerank::tokenizer::TokenizerScratch;

use super::task::{Claim, Demand, Task};

/// All slots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// Threads that compute tasks.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    count: usize,
}

struct Shared {
    ring: Mutex<Ring>,
    work: Condvar,
    slots: usize,
    /// Slots taken.
    in_flight: AtomicUsize,
    /// Threads that have not ended.
    alive: AtomicUsize,
}

#[derive(Default)]
struct Ring {
    tasks: VecDeque<Arc<Task>>,
    /// Threads waiting for a task.
    idle: usize,
    closed: bool,
}

/// A task's slot. Dropping it frees the slot and stops the task, so a request whose client has
/// disconnected costs no more than the pieces already running.
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    task: Arc<Task>,
}

impl Pool {
    /// Starts `count` threads with slots for at most `slots` tasks.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub(crate) fn start(count: usize, slots: usize) -> std::io::Result<Pool> {
        let shared = Arc::new(Shared {
            ring: Mutex::default(),
            work: Condvar::new(),
            slots,
            in_flight: AtomicUsize::new(0),
            alive: AtomicUsize::new(count),
        });
        let start = |i| {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name(format!("score-{i}"));
            builder.spawn(move || shared.run())
        };
        for i in 0..count {
            start(i)?;
        }
        Ok(Pool { shared, count })
    }

    /// Puts a task into the ring.
    ///
    /// # Errors
    /// When all slots are taken.
    pub(crate) fn submit(&self, task: Arc<Task>) -> Result<Ticket, QueueFull> {
        let shared = &self.shared;
        let take = |taken| (taken < shared.slots).then_some(taken + 1);
        shared
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
            .map_err(|_| QueueFull)?;
        shared.push(Arc::clone(&task));
        Ok(Ticket {
            shared: Arc::clone(shared),
            task,
        })
    }

    /// Tasks in the ring: those with work that no thread has started.
    pub(crate) fn waiting(&self) -> usize {
        self.shared.lock().tasks.len()
    }

    /// Slots taken: requests waiting or running.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Whether all threads are running.
    pub(crate) fn healthy(&self) -> bool {
        self.shared.alive.load(Ordering::Relaxed) == self.count
    }

    /// Ends the threads after the pieces they are computing. Does not wait for them: a piece of a
    /// large model may take longer than a stop may.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.task.stop();
        self.shared.remove(&self.task);
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn push(&self, task: Arc<Task>) {
        self.lock().tasks.push_back(task);
        self.work.notify_one();
    }

    fn remove(&self, task: &Arc<Task>) {
        self.lock().tasks.retain(|other| !Arc::ptr_eq(other, task));
    }

    /// Waits for the first task; `None` once the pool is closed.
    fn next(&self) -> Option<(Arc<Task>, Demand)> {
        let mut ring = self.lock();
        loop {
            if ring.closed {
                return None;
            }
            if let Some(task) = ring.tasks.pop_front() {
                let demand = if ring.tasks.is_empty() {
                    Demand::Alone { idle: ring.idle }
                } else {
                    Demand::Contended
                };
                return Some((task, demand));
            }
            ring.idle += 1;
            ring = self.work.wait(ring).unwrap_or_else(|e| e.into_inner());
            ring.idle -= 1;
        }
    }

    fn run(&self) {
        let _alive = Alive(&self.alive);
        let mut scratch = TokenizerScratch::default();
        while let Some((task, demand)) = self.next() {
            let step = AssertUnwindSafe(|| self.step(&task, demand, &mut scratch));
            if catch_unwind(step).is_err() {
                task.fail();
                scratch = TokenizerScratch::default();
            }
        }
    }

    fn step(&self, task: &Arc<Task>, demand: Demand, scratch: &mut TokenizerScratch) {
        loop {
            match task.claim(demand) {
                Claim::Nothing => return,
                Claim::Count => task.count(scratch),
                Claim::Compute(piece, more) => {
                    if more {
                        self.push(Arc::clone(task));
                    }
                    return task.compute(piece);
                }
            }
        }
    }
}

/// Counts a thread as ended when dropped, even by a panic.
struct Alive<'a>(&'a AtomicUsize);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
