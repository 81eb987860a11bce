//! Times short work on a machine that may be busy.

use std::time::{Duration, Instant};

/// Least length of a sample, to make the cost of reading the clock negligible.
const SAMPLE: Duration = Duration::from_micros(50);

/// Least number of samples, however long they take.
const SAMPLES: usize = 4;

/// Seconds of the fastest of many short runs, which excludes interruptions.
/// Runs `work` for about `budget`, and at least a few times.
pub fn fastest(budget: Duration, mut work: impl FnMut()) -> f64 {
    work();
    let mut timed = |count: u32| {
        let start = Instant::now();
        (0..count).for_each(|_| work());
        start.elapsed()
    };
    let once = timed(1).max(Duration::from_nanos(1));
    let count = (SAMPLE.as_nanos() / once.as_nanos() + 1).min(1 << 20) as u32;
    let start = Instant::now();
    let mut best = Duration::MAX;
    let mut samples = 0;
    while samples < SAMPLES || start.elapsed() < budget {
        best = best.min(timed(count));
        samples += 1;
    }
    best.as_secs_f64() / f64::from(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_and_takes_time() {
        let mut runs = 0_u64;
        let seconds = fastest(Duration::from_millis(2), || {
            runs += 1;
            std::hint::black_box((0..100).fold(runs, |a, b| a ^ b));
        });
        assert!(runs >= 6 && seconds > 0.0, "{runs} runs, {seconds} s");
    }

    #[test]
    fn slow_work_runs_a_few_times() {
        let mut runs = 0;
        let seconds = fastest(Duration::ZERO, || {
            runs += 1;
            std::thread::sleep(Duration::from_millis(1));
        });
        assert_eq!(runs, 2 + SAMPLES);
        assert!(seconds >= 1e-3);
    }
}
