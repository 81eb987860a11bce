//! From texts to a batch, and from a batch to scores: a model, its tokenizer and the kernels.

use std::ops::ControlFlow;

use lanerank_kernels::Kernels;

use crate::config::Head;
use crate::layers::attention::Prefix;
use crate::layers::head::{cosine, log_odds};
use crate::model::architectures::Watch;
use crate::model::open::Model;
use crate::scratch::Scratch;
use crate::tokenizer::{Frame, Role, Tokenizer, Truncation, TruncationPolicy};

/// Everything that decides a score.
#[derive(Clone)]
pub(crate) struct Scorer<'k> {
    pub(crate) model: Model,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) kernels: &'k Kernels,
    pub(crate) max_length: usize,
}

/// A tokenised query, and what all its pairs share.
#[derive(Debug, Default)]
pub(crate) struct PairQuery {
    /// Its ids, as many as a pair can need.
    ids: Vec<u32>,
    /// Its number of tokens before truncation.
    count: usize,
    pub(crate) policy: TruncationPolicy,
    pub(crate) prefix: Prefix,
}

impl PairQuery {
    /// Its number of tokens before truncation.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl<'k> Scorer<'k> {
    /// The scorer of a model file's self-test: its own tokenizer and `max_length`.
    pub(crate) fn of(model: &Model, kernels: &'k Kernels) -> Self {
        Scorer {
            model: model.clone(),
            tokenizer: model.tokenizer().clone(),
            kernels,
            max_length: model.config().max_length,
        }
    }

    pub(crate) fn frame(&self) -> Frame {
        self.tokenizer.frame()
    }

    /// Reads a query into `pair`, whose memory is reused.
    pub(crate) fn set_query(
        &self,
        pair: &mut PairQuery,
        query: &str,
        policy: TruncationPolicy,
        scratch: &mut Scratch,
    ) {
        let budget = self.frame().pair_budget(self.max_length);
        let (buffers, ids) = (&mut scratch.tokenizer, &mut pair.ids);
        pair.policy = policy;
        pair.count =
            self.tokenizer
                .read_from(Role::Query, query, policy.stored(budget), buffers, ids);
        // Truncation from the left stores all ids. No pair can have more than the last ones.
        ids.drain(..ids.len().saturating_sub(budget));
        let prefix = &mut pair.prefix;
        prefix.tokens.clear();
        prefix.tokens.extend(self.frame().pair_prefix(ids));
        let layers = &mut scratch.layers;
        self.model.network().prefix(self.kernels, prefix, layers);
    }

    /// Adds the pair of a query and a passage to the batch.
    pub(crate) fn push_pair(
        &self,
        pair: &PairQuery,
        passage: &str,
        scratch: &mut Scratch,
    ) -> Truncation {
        let (frame, policy) = (self.frame(), pair.policy);
        let (buffers, ids) = (&mut scratch.tokenizer, &mut scratch.ids);
        let limit = policy.stored(frame.pair_budget(self.max_length));
        let count = self
            .tokenizer
            .read_from(Role::Passage, passage, limit, buffers, ids);
        let (query_kept, passage_kept) = frame.fit_pair(pair.count, count, self.max_length, policy);
        let query = policy.keep(&pair.ids, query_kept);
        let tokens = frame.pair(query, policy.keep(ids, passage_kept));
        scratch.batch.push(&pair.prefix.tokens, tokens);
        Truncation {
            query_tokens: pair.count - query_kept,
            passage_tokens: count - passage_kept,
        }
    }

    /// Adds a single text to the batch. Returns the number of tokens cut.
    pub(crate) fn push_single(
        &self,
        (role, text): (Role, &str),
        policy: TruncationPolicy,
        scratch: &mut Scratch,
    ) -> usize {
        let frame = self.frame();
        let (buffers, ids) = (&mut scratch.tokenizer, &mut scratch.ids);
        let limit = policy.stored(frame.single_budget(self.max_length));
        let count = self.tokenizer.read_from(role, text, limit, buffers, ids);
        let kept = frame.fit_single(count, self.max_length, policy);
        let tokens = frame.single(policy.keep(ids, kept));
        scratch.batch.push(&[], tokens);
        count - kept
    }

    /// Computes the batch into `scratch.out`.
    pub(crate) fn run(&self, prefix: &Prefix, scratch: &mut Scratch) {
        let _ = self.run_watched(prefix, scratch, &mut |_| ControlFlow::Continue(()));
    }

    /// As [`Scorer::run`]; `watch` sees the residual stream after each layer, and may end the
    /// computation.
    pub(crate) fn run_watched(
        &self,
        prefix: &Prefix,
        scratch: &mut Scratch,
        watch: &mut Watch<'_>,
    ) -> ControlFlow<()> {
        self.model
            .network()
            .run_watched(self.kernels, prefix, scratch, watch)
    }

    /// Numbers that [`Scorer::run`] leaves for each sequence.
    pub(crate) fn out_width(&self) -> usize {
        self.model.config().out_width()
    }

    /// One text's vector, and the number of its tokens that were cut.
    pub(crate) fn vector(
        &self,
        text: (Role, &str),
        policy: TruncationPolicy,
        scratch: &mut Scratch,
    ) -> (Vec<f32>, usize) {
        scratch.batch.clear();
        let cut = self.push_single(text, policy, scratch);
        self.run(&Prefix::default(), scratch);
        (scratch.out.clone(), cut)
    }

    /// The logit of one pair; for an encoder, the cosine of both texts.
    pub(crate) fn logit(&self, query: &str, passage: &str, scratch: &mut Scratch) -> f32 {
        let policy = TruncationPolicy::default();
        match self.model.config().head {
            Head::Classifier { .. } => {
                let mut pair = PairQuery::default();
                self.set_query(&mut pair, query, policy, scratch);
                scratch.batch.clear();
                self.push_pair(&pair, passage, scratch);
                self.run(&pair.prefix, scratch);
                log_odds(&scratch.out)
            }
            Head::Encoder { .. } => {
                let (query, _) = self.vector((Role::Query, query), policy, scratch);
                let (passage, _) = self.vector((Role::Passage, passage), policy, scratch);
                cosine(self.kernels, &query, &passage)
            }
        }
    }
}
