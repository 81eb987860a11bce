//! The cost of a request, predicted before it is made.

use std::time::{Duration, Instant};

use crate::config::Head;
use crate::error::Error;
use crate::model::architectures;
use crate::ranker::{Ranker, RerankOptions};
use crate::schema::{Extent, Schema};
use crate::scorer::Scorer;
use crate::tokenizer::{Role, TokenizerScratch, TruncationPolicy};

/// The answer to [`Ranker::estimate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate {
    /// Passages of the request.
    pub passages: usize,
    /// Passages that will be cut.
    pub truncated: usize,
    /// Tokens that the model reads, special tokens included. A cross-encoder reads the query with
    /// every passage.
    pub tokens: usize,
    /// Multiply-adds of all matrix products and attention.
    pub multiply_adds: u64,
    /// Predicted time on this machine.
    pub time: Duration,
    /// Threads that will share the request.
    pub threads: usize,
    /// Passages that were scored for the prediction.
    pub sampled: usize,
}

/// Approximate time spent on the sample.
const SAMPLE_TIME: Duration = Duration::from_millis(20);
/// Passages per thread of the first sample.
const FIRST_SAMPLE: usize = 4;

impl Ranker {
    /// Counts the tokens of a request, and predicts its time from scoring a few of its passages.
    ///
    /// Samples passages evenly over their lengths and doubles the sample until it takes 20 ms, then
    /// scales its time by multiply-adds. So the answer holds for this machine under its present
    /// load. A request shorter than 20 ms is computed whole.
    ///
    /// # Errors
    /// As [`Ranker::rerank`]; [`Error::NotANumber`] counts among the sampled passages.
    pub fn estimate<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        options: &RerankOptions<'_>,
    ) -> Result<Estimate, Error> {
        let schema = architectures::schema(self.model().config());
        let threads = self.0.engine.threads.count();
        let mut lengths = Lengths::of(&self.0.engine.scorer, query, options.policy());
        // (multiply-adds, index)
        let mut costs = Vec::with_capacity(passages.len());
        let mut estimate = Estimate {
            passages: passages.len(),
            truncated: 0,
            tokens: 0,
            multiply_adds: 0,
            time: Duration::ZERO,
            threads,
            sampled: 0,
        };
        for (index, passage) in passages.iter().enumerate() {
            let (length, cut) = lengths.pair(passage.as_ref());
            let cost = multiply_adds(&schema, length, lengths.shared.min(length));
            estimate.truncated += usize::from(cut);
            estimate.tokens += length;
            estimate.multiply_adds += cost;
            costs.push((cost, index));
        }
        costs.sort_unstable();
        let sample_options = RerankOptions {
            truncation_side: options.truncation_side,
            max_passage_tokens: options.max_passage_tokens,
            ..RerankOptions::default()
        };
        let mut count = (FIRST_SAMPLE * threads).min(costs.len());
        while count > 0 {
            let sample: Vec<(u64, usize)> = (0..count)
                .map(|i| costs[(2 * i + 1) * costs.len() / (2 * count)])
                .collect();
            let texts: Vec<&str> = sample.iter().map(|&(_, i)| passages[i].as_ref()).collect();
            let begun = Instant::now();
            self.rerank_with(query, &texts, &sample_options)?;
            let took = begun.elapsed();
            let again = estimate.sampled == 0;
            let cost: u64 = sample.iter().map(|(cost, _)| cost).sum();
            let scale = estimate.multiply_adds as f64 / cost.max(1) as f64;
            (estimate.time, estimate.sampled) = (took.mul_f64(scale), count);
            // The first run has cold caches.
            if !again && (took >= SAMPLE_TIME || count == costs.len()) {
                break;
            }
            if took < SAMPLE_TIME {
                count = (2 * count).min(costs.len());
            }
        }
        Ok(estimate)
    }
}

/// Counts the tokens of pairs.
struct Lengths<'a> {
    scorer: &'a Scorer<'static>,
    scratch: TokenizerScratch,
    policy: TruncationPolicy,
    /// The query's tokens, if they are read with every passage.
    query: Option<usize>,
    /// Rows that pairs share in the first layer.
    shared: usize,
}

impl<'a> Lengths<'a> {
    fn of(scorer: &'a Scorer<'static>, query: &str, policy: TruncationPolicy) -> Self {
        let mut lengths = Lengths {
            scorer,
            scratch: TokenizerScratch::default(),
            policy,
            query: None,
            shared: 0,
        };
        if let Head::Classifier { .. } = scorer.model.config().head {
            let count = lengths.count(Role::Query, query);
            lengths.query = Some(count);
            lengths.shared = scorer.frame().before_passage(count);
        }
        lengths
    }

    fn count(&mut self, role: Role, text: &str) -> usize {
        self.scorer
            .tokenizer
            .count_as(role, text, &mut self.scratch)
    }

    /// Tokens that the model reads for a passage, and whether truncation cuts it or the query.
    fn pair(&mut self, passage: &str) -> (usize, bool) {
        let count = self.count(Role::Passage, passage);
        let (frame, most) = (self.scorer.frame(), self.scorer.max_length);
        match self.query {
            Some(query) => {
                let (query_kept, kept) = frame.fit_pair(query, count, most, self.policy);
                let cut = kept < count || query_kept < query;
                (query_kept + kept + frame.pair_overhead(), cut)
            }
            None => {
                let kept = frame.fit_single(count, most, self.policy);
                (kept + frame.single_overhead(), kept < count)
            }
        }
    }
}

/// Multiply-adds for one sequence whose first `shared` tokens are in the first layer already.
fn multiply_adds(schema: &Schema<'_>, tokens: usize, shared: usize) -> u64 {
    let extent = Extent {
        sequences: 1,
        tokens: tokens as u64,
        own: (tokens - shared) as u64,
        squares: (tokens * tokens) as u64,
    };
    schema.steps(extent).map(|(_, cost)| cost).sum()
}
