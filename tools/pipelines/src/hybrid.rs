//! Hybrid search: several rankings fused by reciprocal rank.
//!
//! Gordon V. Cormack, Charles L. A. Clarke, Stefan Büttcher: *Reciprocal Rank Fusion outperforms
//! Condorcet and individual Rank Learning Methods*, SIGIR 2009. A document's score is the sum of 1
//! / (k + rank) over the rankings that contain it. Only ranks count, so BM25 and cosines, which
//! have no common scale, can be combined.

use std::collections::HashMap;

use lanerank_cli::failure::Failure;

use crate::first_stage::{FirstStage, Found, sort};

/// The constant k of the paper.
pub const K: f64 = 60.0;

/// Several search engines combined.
pub struct Hybrid<'a>(pub Vec<&'a dyn FirstStage>);

impl FirstStage for Hybrid<'_> {
    fn retrieve(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure> {
        let rankings = self.0.iter().map(|engine| engine.retrieve(query, depth));
        let rankings = rankings.collect::<Result<Vec<_>, _>>()?;
        let mut fused = reciprocal_rank_fusion(&rankings);
        fused.truncate(depth);
        Ok(fused)
    }
}

/// Fuses rankings, each best first. Ranks start at 1; equal scores share the better rank.
pub fn reciprocal_rank_fusion(rankings: &[Vec<Found>]) -> Vec<Found> {
    let mut sums: HashMap<usize, f64> = HashMap::new();
    for ranking in rankings {
        let (mut rank, mut last) = (0, None);
        for (place, found) in ranking.iter().enumerate() {
            if last != Some(found.score) {
                (rank, last) = (place + 1, Some(found.score));
            }
            *sums.entry(found.document).or_default() += 1.0 / (K + rank as f64);
        }
    }
    let fused = sums.into_iter().map(|(document, sum)| Found {
        document,
        score: sum as f32,
    });
    let mut fused: Vec<Found> = fused.collect();
    sort(&mut fused);
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(scores: &[(usize, f32)]) -> Vec<Found> {
        let found = |&(document, score)| Found { document, score };
        scores.iter().map(found).collect()
    }

    #[test]
    fn sums_by_hand() {
        let fused = reciprocal_rank_fusion(&[
            ranking(&[(7, 12.0), (3, 9.5), (5, 9.5), (1, 2.0)]),
            ranking(&[(3, 0.9), (8, 0.8), (1, -0.1)]),
        ]);
        let expected = ranking(&[
            (3, (1.0f64 / 62.0 + 1.0 / 61.0) as f32),
            (1, (1.0f64 / 64.0 + 1.0 / 63.0) as f32),
            (7, (1.0f64 / 61.0) as f32),
            // Each is second in one ranking: a tie, in the order of the collection.
            (5, (1.0f64 / 62.0) as f32),
            (8, (1.0f64 / 62.0) as f32),
        ]);
        assert_eq!(fused, expected);
    }

    #[test]
    fn one_ranking_keeps_its_order_and_none_is_empty() {
        let fused = reciprocal_rank_fusion(&[ranking(&[(2, 1.0), (0, 0.5)]), Vec::new()]);
        let order: Vec<usize> = fused.iter().map(|found| found.document).collect();
        assert_eq!(order, [2, 0]);
        assert!(reciprocal_rank_fusion(&[]).is_empty());
    }
}
