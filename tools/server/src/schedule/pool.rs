//! The threads, and the ring of tasks that they take from.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use lanerank::tokenizer::TokenizerScratch;

use super::task::{Claim, Task};

/// There is no place for another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Threads that compute tasks.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    count: usize,
}

struct Shared {
    ring: Mutex<Ring>,
    work: Condvar,
    places: usize,
    taken: AtomicUsize,
    alive: AtomicUsize,
}

#[derive(Default)]
struct Ring {
    tasks: VecDeque<Arc<Task>>,
    /// Threads that wait for a task.
    idle: usize,
    closed: bool,
}

/// A task's place. Dropping it gives the place free and stops the task: so a request whose client has
/// gone away uses no more of the processor than the pieces under way.
pub struct Ticket {
    shared: Arc<Shared>,
    task: Arc<Task>,
}

impl Pool {
    /// Starts `count` threads, for at most `places` tasks.
    ///
    /// # Errors
    /// When the system has no threads to give.
    pub fn start(count: usize, places: usize) -> std::io::Result<Pool> {
        let shared = Arc::new(Shared {
            ring: Mutex::default(),
            work: Condvar::new(),
            places,
            taken: AtomicUsize::new(0),
            alive: AtomicUsize::new(count),
        });
        let start = |i| {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name(format!("score-{i}"));
            builder.spawn(move || shared.run())
        };
        let threads = (0..count).map(start).collect::<Result<_, _>>()?;
        Ok(Pool {
            shared,
            threads: Mutex::new(threads),
            count,
        })
    }

    /// Puts a task into the ring.
    ///
    /// # Errors
    /// When all places are taken.
    pub fn submit(&self, task: Arc<Task>) -> Result<Ticket, Full> {
        let shared = &self.shared;
        let place = |taken| (taken < shared.places).then_some(taken + 1);
        let taken = shared
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, place);
        taken.map_err(|_| Full)?;
        shared.push(Arc::clone(&task));
        Ok(Ticket {
            shared: Arc::clone(shared),
            task,
        })
    }

    /// Tasks in the ring: those that wait, and those that have more to do than is under way.
    pub fn waiting(&self) -> usize {
        self.shared.lock().tasks.len()
    }

    /// Places taken: requests that wait or are under way.
    pub fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Whether all threads run.
    pub fn healthy(&self) -> bool {
        self.shared.alive.load(Ordering::Relaxed) == self.count
    }

    /// Ends the threads after the pieces under way.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(|e| e.into_inner()));
        for thread in threads {
            // A thread that panicked has nothing to say that `healthy` did not.
            let _ = thread.join();
        }
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
        self.shared.taken.fetch_sub(1, Ordering::AcqRel);
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

    /// The first task, and how many threads are idle, if it is the only one.
    fn next(&self) -> Option<(Arc<Task>, Option<usize>)> {
        let mut ring = self.lock();
        loop {
            if ring.closed {
                return None;
            }
            if let Some(task) = ring.tasks.pop_front() {
                let idle = ring.tasks.is_empty().then_some(ring.idle);
                return Some((task, idle));
            }
            ring.idle += 1;
            ring = self.work.wait(ring).unwrap_or_else(|e| e.into_inner());
            ring.idle -= 1;
        }
    }

    fn run(&self) {
        let _alive = Alive(&self.alive);
        let mut scratch = TokenizerScratch::default();
        while let Some((task, idle)) = self.next() {
            let step = AssertUnwindSafe(|| self.step(&task, idle, &mut scratch));
            if catch_unwind(step).is_err() {
                task.fail();
                scratch = TokenizerScratch::default();
            }
        }
    }

    fn step(&self, task: &Arc<Task>, idle: Option<usize>, scratch: &mut TokenizerScratch) {
        loop {
            match task.claim(idle) {
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

/// Says when a thread has ended, however it did.
struct Alive<'a>(&'a AtomicUsize);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
