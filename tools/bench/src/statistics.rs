//! How often to time a request, and the summary of its times.

use std::time::Duration;

/// Number of runs of a request that takes `once`: enough for a stable median without taking
/// minutes.
pub fn run_count(once: Duration) -> usize {
    match once.as_millis() {
        0..=60 => 41,
        61..=600 => 15,
        601..=1200 => 7,
        1201..=2500 => 5,
        _ => 3,
    }
}

/// The 10th, 50th and 90th percentile, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// 10 % of the runs were faster.
    pub p10: f64,
    /// Half of the runs were faster.
    pub median: f64,
    /// 90 % of the runs were faster.
    pub p90: f64,
}

impl Summary {
    /// Summarises times in any order; `None` if there are none.
    pub fn of(times: &[Duration]) -> Option<Summary> {
        let mut ms: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        Some(Summary {
            p10: quantile(&ms, 0.1)?,
            median: quantile(&ms, 0.5)?,
            p90: quantile(&ms, 0.9)?,
        })
    }
}

/// The quantile `q` of sorted values, interpolated; `None` if there are none.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q * last as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_fall_between_values() {
        let times: Vec<_> = [4, 1, 3, 2].map(Duration::from_millis).to_vec();
        let summary = Summary::of(&times).unwrap();
        assert!((summary.median - 2.5).abs() < 1e-9);
        assert!((summary.p10 - 1.3).abs() < 1e-9);
        assert!((summary.p90 - 3.7).abs() < 1e-9);
        let one = Summary::of(&times[..1]).unwrap();
        assert_eq!((one.p10, one.median, one.p90), (4.0, 4.0, 4.0));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn slow_requests_run_less_often() {
        let counts =
            [1, 60, 61, 600, 601, 1201, 2501].map(|ms| run_count(Duration::from_millis(ms)));
        assert_eq!(counts, [41, 41, 15, 15, 7, 5, 3]);
    }
}
