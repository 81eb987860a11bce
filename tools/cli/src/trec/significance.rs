//! Significance of the difference between two systems on the same queries.
//!
//! Fisher's randomisation test, which Smucker, Allan and Carterette (CIKM 2007) recommend for
//! retrieval. If the systems were equal, each query's difference could just as well have the other
//! sign. The p value is the share of all choices of signs whose mean is at least as far from zero
//! as the observed one (two-sided).

/// Maximum number of differing queries for which every choice of signs is tried.
const EXACT: usize = 16;
/// Number of random choices beyond that; the standard error of p is then at most 0.0016.
const SAMPLES: u64 = 100_000;
/// Relative tolerance, for sums that differ only in the order of their terms.
const TOLERANCE: f64 = 1e-9;

/// The p value of paired differences; 1 if there are none. The random choices are the same on every
/// run.
pub fn p_value(differences: &[f64]) -> f64 {
    let nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let magnitude: f64 = nonzero.iter().map(|d| d.abs()).sum();
    let observed = nonzero.iter().sum::<f64>().abs() - TOLERANCE * magnitude;
    let is_as_far = |signs: &mut dyn FnMut() -> bool| {
        let flipped = nonzero.iter().map(|d| if signs() { *d } else { -*d });
        flipped.sum::<f64>().abs() >= observed
    };
    if nonzero.len() <= EXACT {
        let all = 1u32 << nonzero.len();
        let as_far = (0..all).filter(|&choice| {
            let mut remaining = choice;
            is_as_far(&mut || {
                let sign = remaining & 1 == 1;
                remaining >>= 1;
                sign
            })
        });
        return as_far.count() as f64 / f64::from(all);
    }
    let mut random = SplitMix64(0);
    let mut bits = std::iter::from_fn(|| Some(random.next()))
        .flat_map(|word| (0..64).map(move |i| word >> i & 1 == 1));
    let mut next = || bits.next().unwrap_or_default();
    let as_far = (0..SAMPLES).filter(|_| is_as_far(&mut next)).count();
    // Plus the observed choice itself.
    (as_far + 1) as f64 / (SAMPLES + 1) as f64
}

/// Sebastiano Vigna's SplitMix64: small, and random enough for signs.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// Kendall's tau-b of two lists of scores of the same documents: 1 for equal order, -1 for reversed
/// order. `None` if either list has only ties.
pub fn kendall_tau(a: &[f32], b: &[f32]) -> Option<f64> {
    let (mut concordant, mut in_a, mut in_b) = (0i64, 0u64, 0u64);
    for i in 1..a.len() {
        for j in 0..i {
            let sign = |x: &[f32]| i64::from(x[i] > x[j]) - i64::from(x[i] < x[j]);
            let (a, b) = (sign(a), sign(b));
            concordant += a * b;
            in_a += a.unsigned_abs();
            in_b += b.unsigned_abs();
        }
    }
    (in_a > 0 && in_b > 0).then(|| concordant as f64 / (in_a as f64 * in_b as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy's results, made by `tests/data/significance/make.py`.
    #[derive(serde::Deserialize)]
    struct Golden {
        differences: Vec<f64>,
        p: f64,
        exact: bool,
    }

    #[derive(serde::Deserialize)]
    struct TauGolden {
        a: Vec<f32>,
        b: Vec<f32>,
        tau: f64,
    }

    #[derive(serde::Deserialize)]
    struct Goldens {
        permutation_test: Vec<Golden>,
        kendalltau: Vec<TauGolden>,
    }

    fn goldens() -> Goldens {
        serde_json::from_str(include_str!("../../tests/data/significance/expected.json")).unwrap()
    }

    #[test]
    fn p_values_are_scipys() {
        for golden in goldens().permutation_test {
            let ours = p_value(&golden.differences);
            let bound = if golden.exact { 1e-12 } else { 0.007 };
            assert!((ours - golden.p).abs() < bound, "{ours}, not {}", golden.p);
        }
    }

    #[test]
    fn taus_are_scipys() {
        for golden in goldens().kendalltau {
            let ours = kendall_tau(&golden.a, &golden.b).unwrap();
            assert!(
                (ours - golden.tau).abs() < 1e-12,
                "{ours}, not {}",
                golden.tau
            );
        }
        assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(kendall_tau(&[], &[]), None);
    }

    #[test]
    fn no_difference_is_no_evidence() {
        assert_eq!(p_value(&[]), 1.0);
        assert_eq!(p_value(&[0.0; 40]), 1.0);
        assert_eq!(p_value(&[0.0, 0.25]), 1.0);
        // The two choices with one sign for all ten, of 1024.
        assert_eq!(p_value(&[0.1; 10]), 2.0 / 1024.0);
        // The differences cancel, so every choice is at least as far from zero.
        assert_eq!(p_value(&[0.1, -0.1, 0.2, -0.2]), 1.0);
    }
}
