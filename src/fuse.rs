//! Blends a model's scores with the first stage's.

use crate::error::Error;

/// How to blend two scores of a passage.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Fusion {
    /// Scales both to mean 0 and standard deviation 1 over the passages, then adds them with `weight`
    /// for the model's and `1 - weight` for the first stage's.
    ZScore {
        /// The model's share, 0 to 1.
        weight: f32,
    },
    /// Scales both to 0..1 over the passages, then adds them with `weight` for the model's and
    /// `1 - weight` for the first stage's.
    MinMax {
        /// The model's share, 0 to 1.
        weight: f32,
    },
    /// Adds `1 / (k + rank)` of both. Ranks begin with 1; equal scores share the better rank.
    /// (Cormack, Clarke and Büttcher, SIGIR 2009, with k = 60.)
    ReciprocalRank {
        /// Damps the difference between the first ranks.
        k: f32,
    },
}

/// Blends logits with first-stage scores of the same passages. A stage that scores all passages the
/// same adds nothing.
///
/// ```
/// use lanerank::{Fusion, fuse};
/// let blended = fuse(&[2.0, -1.0, 0.5], &[7.1, 9.0, 3.2], Fusion::ZScore { weight: 0.5 })?;
/// assert!(blended[0] > blended[1] && blended[1] > blended[2]);
/// # Ok::<(), lanerank::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] if lengths differ, a score is not finite, or a parameter is out of range.
pub fn fuse(logits: &[f32], first_stage: &[f32], fusion: Fusion) -> Result<Vec<f32>, Error> {
    check(logits, first_stage, fusion)?;
    let (ours, theirs, weight) = match fusion {
        Fusion::ZScore { weight } => (z_scores(logits), z_scores(first_stage), weight),
        Fusion::MinMax { weight } => (min_max(logits), min_max(first_stage), weight),
        Fusion::ReciprocalRank { k } => {
            let sum = reciprocal_ranks(logits, k)
                .into_iter()
                .zip(reciprocal_ranks(first_stage, k));
            return Ok(sum.map(|(a, b)| (a + b) as f32).collect());
        }
    };
    let weight = f64::from(weight);
    let both = ours.into_iter().zip(theirs);
    Ok(both
        .map(|(a, b)| (weight * a + (1.0 - weight) * b) as f32)
        .collect())
}

fn check(logits: &[f32], first_stage: &[f32], fusion: Fusion) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::Argument(reason));
    if logits.len() != first_stage.len() {
        return refuse(format!(
            "{} first-stage scores for {} passages",
            first_stage.len(),
            logits.len()
        ));
    }
    for (what, scores) in [("score", logits), ("first-stage score", first_stage)] {
        if let Some(i) = scores.iter().position(|s| !s.is_finite()) {
            return refuse(format!("{what} {i} is {}", scores[i]));
        }
    }
    match fusion {
        Fusion::ZScore { weight } | Fusion::MinMax { weight } if !(0.0..=1.0).contains(&weight) => {
            refuse(format!("weight {weight} is not in 0..=1"))
        }
        Fusion::ReciprocalRank { k } if !(k >= 0.0 && k.is_finite()) => {
            refuse(format!("k {k} is not a number of at least 0"))
        }
        _ => Ok(()),
    }
}

fn z_scores(scores: &[f32]) -> Vec<f64> {
    let n = scores.len() as f64;
    let mean = scores.iter().map(|&s| f64::from(s)).sum::<f64>() / n;
    let square = |s: &f32| (f64::from(*s) - mean).powi(2);
    let deviation = (scores.iter().map(square).sum::<f64>() / n).sqrt();
    rescale(scores, mean, deviation)
}

fn min_max(scores: &[f32]) -> Vec<f64> {
    let min = scores.iter().copied().fold(f32::INFINITY, f32::min);
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    rescale(scores, f64::from(min), f64::from(max) - f64::from(min))
}

fn rescale(scores: &[f32], origin: f64, unit: f64) -> Vec<f64> {
    if unit <= 0.0 || unit.is_nan() {
        return vec![0.0; scores.len()];
    }
    let scaled = |&s: &f32| (f64::from(s) - origin) / unit;
    scores.iter().map(scaled).collect()
}

fn reciprocal_ranks(scores: &[f32], k: f32) -> Vec<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let rank = |score: f32| 1 + sorted.partition_point(|&other| other > score);
    scores
        .iter()
        .map(|&score| 1.0 / (f64::from(k) + rank(score) as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        let ours = [1.0, 3.0];
        let theirs = [10.0, 0.0];
        let fused = |fusion| fuse(&ours, &theirs, fusion).unwrap();
        assert_eq!(fused(Fusion::MinMax { weight: 0.25 }), [0.75, 0.25]);
        assert_eq!(fused(Fusion::ZScore { weight: 0.75 }), [-0.5, 0.5]);
        let equal = (1.0f64 / 61.0 + 1.0 / 62.0) as f32;
        assert_eq!(fused(Fusion::ReciprocalRank { k: 60.0 }), [equal, equal]);
    }

    #[test]
    fn equal_scores_add_nothing() {
        let fused = |f| fuse(&[1.0, 2.0], &[5.0, 5.0], f).unwrap();
        assert_eq!(fused(Fusion::MinMax { weight: 0.5 }), [0.0, 0.5]);
        assert_eq!(fused(Fusion::ZScore { weight: 0.5 }), [-0.5, 0.5]);
        let rank = |r: f64| (1.0 / r + 1.0) as f32;
        let fused = fused(Fusion::ReciprocalRank { k: 0.0 });
        assert_eq!(fused, [rank(2.0), rank(1.0)]);
        assert!(
            fuse(&[], &[], Fusion::ZScore { weight: 0.5 })
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn refuses_what_cannot_be_blended() {
        let z = Fusion::ZScore { weight: 0.5 };
        for (theirs, fusion, words) in [
            (&[1.0][..], z, "1 first-stage scores for 2"),
            (&[1.0, f32::NAN][..], z, "first-stage score 1 is NaN"),
            (
                &[1.0, 2.0][..],
                Fusion::MinMax { weight: 1.5 },
                "weight 1.5",
            ),
            (&[1.0, 2.0][..], Fusion::ReciprocalRank { k: -1.0 }, "k -1"),
        ] {
            let error = fuse(&[1.0, 2.0], theirs, fusion).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
