//! Who computes: the calling thread, and a pool's threads beside it.

use crate::Error;

/// How many threads one request may use.
pub(crate) struct Threads {
    count: usize,
    #[cfg(feature = "rayon")]
    pool: Option<std::sync::Mutex<rayon::ThreadPool>>,
}

impl Threads {
    /// `count` threads, or as many as this process may use: the container's share of the host
    /// where the operating system tells it (cgroup quota and CPU affinity on Linux). One thread
    /// makes no pool.
    pub fn new(count: Option<usize>) -> Result<Threads, Error> {
        if count == Some(0) {
            return Err(Error::Argument("threads: 0 cannot compute anything".into()));
        }
        Self::with_pool(count)
    }

    #[cfg(feature = "rayon")]
    fn with_pool(count: Option<usize>) -> Result<Threads, Error> {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = count.unwrap_or_else(available);
        let pool = match count {
            1 => None,
            // The calling thread is the one that is missing here.
            _ => Some(
                rayon::ThreadPoolBuilder::new()
                    .num_threads(count - 1)
                    .thread_name(|i| format!("lanerank-{i}"))
                    .build()
                    .map_err(|e| Error::Argument(format!("threads: {e}")))?,
            ),
        };
        Ok(Threads {
            count,
            pool: pool.map(std::sync::Mutex::new),
        })
    }

    #[cfg(not(feature = "rayon"))]
    fn with_pool(count: Option<usize>) -> Result<Threads, Error> {
        match count {
            None | Some(1) => Ok(Threads { count: 1 }),
            Some(n) => Err(Error::Argument(format!(
                "threads: {n} need the feature `rayon`, which this build lacks"
            ))),
        }
    }

    /// Number of threads that may work on one request.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Runs `work` on the calling thread and, where the pool is free, on the pool's threads too;
    /// `work` takes its portions from a shared counter. While one request has the pool, others
    /// compute on their own threads alone: nobody waits, and no more threads run than callers plus
    /// the pool.
    pub fn run(&self, work: impl Fn() + Sync) {
        #[cfg(feature = "rayon")]
        if let Some(pool) = &self.pool
            && let Ok(pool) = pool.try_lock()
        {
            pool.in_place_scope(|scope| {
                for _ in 1..self.count {
                    scope.spawn(|_| work());
                }
                work();
            });
            return;
        }
        work();
    }
}
