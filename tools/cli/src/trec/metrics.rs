//! nDCG, MRR, MAP and recall as `trec_eval` computes them.
//!
//! A document is relevant if its judgement is 1 or more. Documents without a judgement count as not
//! relevant.

use std::collections::HashMap;

use clap::ValueEnum;
use serde::Serialize;

use super::significance::p_value;

/// The gain of a relevant document in nDCG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gain {
    /// The score itself, as in `trec_eval`
    Linear,
    /// 2^score - 1
    Exponential,
}

impl Gain {
    /// The formula, for display.
    pub fn formula(self) -> &'static str {
        match self {
            Gain::Linear => "the score",
            Gain::Exponential => "2^score - 1",
        }
    }

    fn of(self, relevance: i32) -> f64 {
        match (self, relevance) {
            (_, ..=0) => 0.0,
            (Gain::Linear, _) => f64::from(relevance),
            (Gain::Exponential, _) => f64::from(relevance).exp2() - 1.0,
        }
    }
}

/// The measures of one ranking, or their mean over many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// Normalised discounted cumulative gain of the first 10.
    #[serde(rename = "ndcg@10")]
    pub ndcg_at_10: f64,
    /// Reciprocal rank of the first relevant document, if among the first 10.
    #[serde(rename = "mrr@10")]
    pub mrr_at_10: f64,
    /// Average precision over the whole ranking.
    pub map: f64,
    /// Share of the relevant documents among the first 100.
    #[serde(rename = "recall@100")]
    pub recall_at_100: f64,
}

impl Metrics {
    /// The four measures with their names, in display order.
    pub fn named(&self) -> [(&'static str, f64); 4] {
        [
            ("nDCG@10", self.ndcg_at_10),
            ("MRR@10", self.mrr_at_10),
            ("MAP", self.map),
            ("Recall@100", self.recall_at_100),
        ]
    }

    /// The mean; all zeros if there is nothing to average.
    pub fn mean(all: &[Metrics]) -> Metrics {
        let count = all.len().max(1) as f64;
        let mean = |value: fn(&Metrics) -> f64| all.iter().map(value).sum::<f64>() / count;
        Metrics {
            ndcg_at_10: mean(|m| m.ndcg_at_10),
            mrr_at_10: mean(|m| m.mrr_at_10),
            map: mean(|m| m.map),
            recall_at_100: mean(|m| m.recall_at_100),
        }
    }
}

impl Metrics {
    /// The p value of each measure's paired difference between two systems.
    pub fn p_values(before: &[Metrics], after: &[Metrics]) -> Metrics {
        let p = |value: fn(&Metrics) -> f64| {
            let pairs = before.iter().zip(after);
            let differences: Vec<f64> = pairs.map(|(b, a)| value(a) - value(b)).collect();
            p_value(&differences)
        };
        Metrics {
            ndcg_at_10: p(|m| m.ndcg_at_10),
            mrr_at_10: p(|m| m.mrr_at_10),
            map: p(|m| m.map),
            recall_at_100: p(|m| m.recall_at_100),
        }
    }
}

/// Measures a ranking of document ids, best first, against a query's judgements.
pub fn measure<'a>(
    ranking: impl IntoIterator<Item = &'a str>,
    judgements: &HashMap<String, i32>,
    gain: Gain,
) -> Metrics {
    let relevance = |id| judgements.get(id).copied().unwrap_or(0);
    let ranked: Vec<i32> = ranking.into_iter().map(relevance).collect();
    let mut judged: Vec<i32> = judgements.values().copied().collect();
    judged.sort_unstable_by(|a, b| b.cmp(a));
    let relevant = judged.iter().filter(|&&r| r > 0).count();
    Metrics {
        ndcg_at_10: ndcg(&ranked, &judged, 10, gain),
        mrr_at_10: reciprocal_rank(&ranked, 10),
        map: average_precision(&ranked, relevant),
        recall_at_100: recall(&ranked, relevant, 100),
    }
}

/// nDCG of the first `k`; `judged` holds all judgements, highest first.
fn ndcg(ranked: &[i32], judged: &[i32], k: usize, gain: Gain) -> f64 {
    let ideal = dcg(judged, k, gain);
    if ideal > 0.0 {
        dcg(ranked, k, gain) / ideal
    } else {
        0.0
    }
}

fn dcg(relevances: &[i32], k: usize, gain: Gain) -> f64 {
    let discounted = |(i, &r): (usize, &i32)| gain.of(r) / ((i + 2) as f64).log2();
    relevances.iter().take(k).enumerate().map(discounted).sum()
}

fn reciprocal_rank(ranked: &[i32], k: usize) -> f64 {
    let first = ranked.iter().take(k).position(|&r| r > 0);
    first.map_or(0.0, |i| 1.0 / (i + 1) as f64)
}

/// Mean over all relevant documents of the precision at their rank; 0 for those not ranked.
fn average_precision(ranked: &[i32], relevant: usize) -> f64 {
    let ranks = ranked.iter().enumerate().filter(|&(_, &r)| r > 0);
    let precisions = (1..)
        .zip(ranks)
        .map(|(hits, (i, _))| f64::from(hits) / (i + 1) as f64);
    precisions.sum::<f64>() / relevant.max(1) as f64
}

fn recall(ranked: &[i32], relevant: usize, k: usize) -> f64 {
    let found = ranked.iter().take(k).filter(|&&r| r > 0).count();
    found as f64 / relevant.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(ranking: &[&str], judgements: &[(&str, i32)], gain: Gain) -> Metrics {
        let judgements = judgements
            .iter()
            .map(|&(id, r)| (id.to_owned(), r))
            .collect();
        measure(ranking.iter().copied(), &judgements, gain)
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn binary_judgements() {
        // Relevant at ranks 2 and 4 of 5; a third relevant document was not found.
        let m = judge(
            &["a", "b", "c", "d", "e"],
            &[("b", 1), ("d", 1), ("z", 1), ("a", 0)],
            Gain::Linear,
        );
        let dcg = 1.0 / 3f64.log2() + 1.0 / 5f64.log2();
        let ideal = 1.0 + 1.0 / 3f64.log2() + 1.0 / 4f64.log2();
        assert!(close(m.ndcg_at_10, dcg / ideal));
        assert!(close(m.mrr_at_10, 0.5));
        assert!(close(m.map, (1.0 / 2.0 + 2.0 / 4.0) / 3.0));
        assert!(close(m.recall_at_100, 2.0 / 3.0));
    }

    #[test]
    fn graded_judgements() {
        let judgements = [("a", 3), ("b", 1)];
        let m = judge(&["b", "a"], &judgements, Gain::Linear);
        let expected = (1.0 + 3.0 / 3f64.log2()) / (3.0 + 1.0 / 3f64.log2());
        assert!(close(m.ndcg_at_10, expected));
        let m = judge(&["b", "a"], &judgements, Gain::Exponential);
        let expected = (1.0 + 7.0 / 3f64.log2()) / (7.0 + 1.0 / 3f64.log2());
        assert!(close(m.ndcg_at_10, expected));
        assert!(close(m.map, 1.0));
    }

    #[test]
    fn a_negative_judgement_is_not_relevant_and_costs_nothing() {
        let m = judge(&["a", "b"], &[("a", -2), ("b", 1)], Gain::Exponential);
        assert!(close(m.ndcg_at_10, 1.0 / 3f64.log2()));
        assert!(close(m.mrr_at_10, 0.5));
        assert!(close(m.map, 0.5));
        assert!(close(m.recall_at_100, 1.0));
    }

    #[test]
    fn nothing_relevant_or_nothing_ranked_is_zero() {
        assert_eq!(judge(&["a"], &[("a", 0)], Gain::Linear), Metrics::default());
        assert_eq!(judge(&["a"], &[], Gain::Linear), Metrics::default());
        assert_eq!(judge(&[], &[("a", 1)], Gain::Linear), Metrics::default());
    }

    #[test]
    fn cutoffs() {
        let names: Vec<String> = (0..120).map(|i| format!("d{i}")).collect();
        let ranking: Vec<&str> = names.iter().map(String::as_str).collect();
        let m = judge(
            &ranking,
            &[("d10", 1), ("d99", 1), ("d100", 1)],
            Gain::Linear,
        );
        assert_eq!((m.ndcg_at_10, m.mrr_at_10), (0.0, 0.0));
        assert!(close(m.recall_at_100, 2.0 / 3.0));
        assert!(close(m.map, (1.0 / 11.0 + 2.0 / 100.0 + 3.0 / 101.0) / 3.0));
        let m = judge(&ranking, &[("d9", 1)], Gain::Linear);
        assert!(close(m.mrr_at_10, 0.1));
    }

    #[test]
    fn means() {
        let one = judge(&["a"], &[("a", 1)], Gain::Linear);
        let mean = Metrics::mean(&[one, Metrics::default()]);
        assert!(close(mean.map, 0.5) && close(mean.ndcg_at_10, 0.5));
        assert_eq!(Metrics::mean(&[]), Metrics::default());
    }
}
