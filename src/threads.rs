//! The threads of a request: the calling one, and those of a pool.

use crate::error::Error;

/// The threads that one request may use.
pub(crate) struct Threads {
    count: usize,
    /// Started by the first request that needs it. Never with one thread.
    #[cfg(feature = "rayon")]
    pool: std::sync::Mutex<Option<rayon::ThreadPool>>,
}

impl Threads {
    /// `count` threads, or as many as this process may use: on Linux by cgroup quota and CPU affinity,
    /// so a container counts its share of the host. Starts no thread yet.
    pub(crate) fn new(count: Option<usize>) -> Result<Threads, Error> {
        if count == Some(0) {
            return Err(Error::Argument("threads: 0 cannot compute anything".into()));
        }
        Self::of(count)
    }

    #[cfg(feature = "rayon")]
    fn of(count: Option<usize>) -> Result<Threads, Error> {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Threads {
            count: count.unwrap_or_else(available),
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

    /// Runs `work` on the calling thread and, if there is more than one portion and the pool is free,
    /// on the pool's threads. `work` takes portions from a shared counter. While one request has the
    /// pool, others compute on their calling threads alone: no request waits, and no more threads
    /// run than callers plus the pool.
    #[cfg(feature = "rayon")]
    pub(crate) fn run(&self, portions: usize, work: impl Fn() + Sync) {
        let pool = match self.count.min(portions) {
            0 | 1 => None,
            _ => self.pool.try_lock().ok(),
        };
        let Some(mut pool) = pool else {
            return work();
        };
        if pool.is_none() {
            *pool = self.start();
        }
        match &*pool {
            None => work(),
            Some(pool) => pool.in_place_scope(|scope| {
                for _ in 1..self.count {
                    scope.spawn(|_| work());
                }
                work();
            }),
        }
    }

    /// Runs `work`.
    #[cfg(not(feature = "rayon"))]
    pub(crate) fn run(&self, _portions: usize, work: impl Fn() + Sync) {
        work();
    }

    /// Starts the pool. `None` if the system refuses: then the calling thread computes everything, and
    /// the next request tries again.
    #[cfg(feature = "rayon")]
    fn start(&self) -> Option<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.count - 1)
            .thread_name(|i| format!("lanerank-{i}"))
            .build()
            .ok()
    }
}
