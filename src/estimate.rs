//! What a request will cost, before it is made.

use std::time::{Duration, Instant};

use crate::Error;
use crate::model::{Head, ModelConfig};
use crate::ranker::{Ranker, RerankOptions};
use crate::scoring::Cut;
use crate::tokenizer::{Tokenizer, TokenizerScratch, truncate_pair};

/// The answer to [`Ranker::estimate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Passages asked about.
    pub passages: usize,
    /// Of those the ones that do not fit and will be cut.
    pub truncated: usize,
    /// Tokens that the model reads: of every passage with, from a cross-encoder, the query, special tokens included.
    pub tokens: usize,
    /// Multiply-adds of all matrix products and attention.
    pub multiply_adds: u64,
    /// How long the request will take on this machine.
    pub time: Duration,
    /// Threads that it will be shared by.
    pub threads: usize,
    /// Passages that were scored to find that out.
    pub sampled: usize,
}

/// Time that is spent on the sample, about.
const SAMPLE_TIME: Duration = Duration::from_millis(20);

impl Ranker {
    /// Counts the tokens of a request, and predicts its time from scoring a few of its passages.
    ///
    /// The passages are sampled evenly over their lengths, twice as many again until they take 20 ms;
    /// their time is scaled by multiply-adds. So the answer holds for this machine as busy as it is now. A
    /// request that takes less than that is computed whole.
    ///
    /// # Errors
    /// As [`Ranker::rerank`]; [`Error::NotANumber`] counts among the sampled passages.
    pub fn estimate<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        options: &RerankOptions<'_>,
    ) -> Result<Estimate, Error> {
        let config = self.model().config();
        let mut lengths = Lengths::of(self, query, options);
        // (multiply-adds, index)
        let mut costs = Vec::with_capacity(passages.len());
        let mut estimate = Estimate {
            passages: passages.len(),
            truncated: 0,
            tokens: 0,
            multiply_adds: 0,
            time: Duration::ZERO,
            threads: self.0.threads.count(),
            sampled: 0,
        };
        for (index, passage) in passages.iter().enumerate() {
            let (length, cut) = lengths.pair(passage.as_ref());
            let cost = multiply_adds(config, length, lengths.shared.min(length));
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
        let mut count = (4 * self.0.threads.count()).min(costs.len());
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
            // The first run finds cold caches.
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
    tokenizer: &'a Tokenizer,
    scratch: TokenizerScratch,
    max_length: usize,
    cut: Cut,
    /// The query's tokens where they are read with every passage.
    query: Option<usize>,
    /// Rows that pairs share in the first layer.
    shared: usize,
}

impl<'a> Lengths<'a> {
    fn of(ranker: &'a Ranker, query: &str, options: &RerankOptions<'_>) -> Self {
        let mut lengths = Lengths {
            tokenizer: &ranker.0.tokenizer,
            scratch: TokenizerScratch::default(),
            max_length: ranker.max_length(),
            cut: options.cut(),
            query: None,
            shared: 0,
        };
        if let Head::Classifier { .. } = ranker.model().config().head {
            let count = lengths.count(query);
            lengths.query = Some(count);
            lengths.shared = count + 2;
        }
        lengths
    }

    fn count(&mut self, text: &str) -> usize {
        self.tokenizer
            .tokenize_into(text, 0, &mut self.scratch, &mut Vec::new())
    }

    /// Tokens that the model reads for a passage, and whether it was cut.
    fn pair(&mut self, passage: &str) -> (usize, bool) {
        let count = self.count(passage);
        let seen = self.cut.seen(count);
        match self.query {
            Some(query) => {
                let (query_kept, kept) = truncate_pair(query, seen, self.max_length - 3);
                (query_kept + kept + 3, kept < count || query_kept < query)
            }
            None => {
                let kept = seen.min(self.max_length - 2);
                (kept + 2, kept < count)
            }
        }
    }
}

/// Multiply-adds for one sequence, of whose tokens the first `shared` are in the first layer's projections
/// already.
fn multiply_adds(config: &ModelConfig, tokens: usize, shared: usize) -> u64 {
    let (hidden, inner) = (config.hidden_size as u64, config.intermediate_size as u64);
    let heads = config.num_attention_heads as u64;
    let (tokens, shared) = (tokens as u64, shared as u64);
    let row = 4 * hidden * hidden + 2 * hidden * inner;
    let attention = 2 * tokens * tokens * hidden;
    let layer = tokens * row + attention;
    // One row, and every row once for each head's scores and means.
    let cls = 3 * hidden * hidden + row + 2 * heads * tokens * hidden;
    let layers = config.num_hidden_layers as u64;
    let full = layers - u64::from(config.cls_only());
    let saved = match full {
        0 => 0,
        _ => 3 * shared * hidden * hidden,
    };
    full * layer + (layers - full) * cls - saved
}
