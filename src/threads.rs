//! The threads of a request: the calling one, and those of a pool.

use crate::error::Error;

/// Threads that may be asked for on any machine.
const ALWAYS_ALLOWED: usize = 64;
/// Threads that may be asked for per CPU.
const ALLOWED_PER_CPU: usize = 4;

/// CPUs that this process may use: on Linux by cgroup quota and CPU affinity, so a container counts
/// its share of the host.
fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The most threads that [`Builder::threads`](crate::Builder::threads) takes: 4 for each CPU that
/// this process may use, or 64 if that is more. Further ones would only wait for each other, and
/// the system may not have them.
pub fn max_threads() -> usize {
    available()
        .saturating_mul(ALLOWED_PER_CPU)
        .max(ALWAYS_ALLOWED)
}

/// Who runs a request's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worker {
    /// The thread that made the request.
    Caller,
    /// A thread of the pool.
    #[cfg(feature = "rayon")]
    Pool,
}

/// The threads that one request may use.
pub(crate) struct Threads {
    count: usize,
    /// Whether the user named the count.
    #[cfg(feature = "rayon")]
    named: bool,
    /// Started by the first request that needs it. Never with one thread.
    #[cfg(feature = "rayon")]
    pool: std::sync::Mutex<Option<rayon::ThreadPool>>,
}

impl Threads {
    /// `count` threads, at most [`max_threads`], or as many as this process has CPUs. Starts no
    /// thread yet.
    pub(crate) fn new(count: Option<usize>) -> Result<Threads, Error> {
        let most = max_threads();
        match count {
            Some(0) => Err(Error::Argument("threads: 0 cannot compute anything".into())),
            Some(count) if count > most => Err(Error::Argument(format!(
                "threads: {count} is above {most}, the most for the {} CPUs that this process may \
                 use",
                available()
            ))),
            _ => Self::of(count),
        }
    }

    #[cfg(feature = "rayon")]
    fn of(count: Option<usize>) -> Result<Threads, Error> {
        Ok(Threads {
            count: count.unwrap_or_else(available),
            named: count.is_some(),
            pool: std::sync::Mutex::default(),
        })
    }

    #[cfg(not(feature = "rayon"))]
    fn of(count: Option<usize>) -> Result<Threads, Error> {
        match count {
            None | Some(1) => Ok(Threads { count: 1 }),
            Some(n) => Err(Error::Argument(format!(
                "threads: {n} need the feature `rayon`, which this build lacks"
            ))),
        }
    }

    /// Number of threads that may work on one request.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Runs `work` on the calling thread and, if there is more than one portion and the pool is
    /// free, on the pool's threads. `work` takes portions from a shared counter. While one request
    /// has the pool, others compute on their calling threads alone: no request waits, and no more
    /// threads run than callers plus the pool.
    ///
    /// # Errors
    /// [`Error::Threads`] if the system refuses to start the threads that the user named. If the
    /// user named none, the calling thread computes everything, and the next request tries again.
    #[cfg(feature = "rayon")]
    pub(crate) fn run(&self, portions: usize, work: impl Fn(Worker) + Sync) -> Result<(), Error> {
        let pool = match self.count.min(portions) {
            0 | 1 => None,
            _ => self.pool.try_lock().ok(),
        };
        let Some(mut pool) = pool else {
            work(Worker::Caller);
            return Ok(());
        };
        if pool.is_none() {
            match self.start() {
                Ok(started) => *pool = Some(started),
                Err(e) if self.named => {
                    return Err(Error::Threads {
                        count: self.count,
                        reason: e.to_string(),
                    });
                }
                Err(_) => {}
            }
        }
        match &*pool {
            None => work(Worker::Caller),
            Some(pool) => pool.in_place_scope(|scope| {
                for _ in 1..self.count {
                    scope.spawn(|_| work(Worker::Pool));
                }
                work(Worker::Caller);
            }),
        }
        Ok(())
    }

    /// Runs `work`.
    #[cfg(not(feature = "rayon"))]
    pub(crate) fn run(&self, _portions: usize, work: impl Fn(Worker) + Sync) -> Result<(), Error> {
        work(Worker::Caller);
        Ok(())
    }

    #[cfg(feature = "rayon")]
    fn start(&self) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.count - 1)
            .thread_name(|i| format!("lanerank-{i}"))
            .build()
    }
}
