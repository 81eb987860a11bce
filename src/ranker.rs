//! Reranking: a query and candidate passages in, scores and an order out.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use lanerank_kernels::{Kernels, math};

use crate::config::Head;
use crate::engine::Engine;
use crate::error::Error;
use crate::fuse::{Fusion, fuse};
use crate::layers::attention::Prefix;
use crate::layers::head::{cosine, log_odds};
use crate::model::open::Model;
use crate::scorer::PairQuery;
use crate::sync::Pool;
use crate::tokenizer::{Role, Truncation, TruncationPolicy, TruncationSide};

/// A ranked passage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The passage's index in the request.
    pub index: usize,
    /// Relevance. From a cross-encoder 0 to 1: the sigmoid of `logit`. From a sentence encoder the
    /// cosine similarity, -1 to 1.
    pub score: f32,
    /// The model's output before the sigmoid. With two logits, the second less the first, so that
    /// `score` is the second's softmax. From an encoder, the cosine. Passages are ordered by it,
    /// because scores close to 1 can be equal while logits differ.
    pub logit: f32,
    /// The blend with the first stage's score, if [`RerankOptions::first_stage`] was given.
    /// Passages are then ordered by it.
    pub fused: Option<f32>,
    /// Tokens cut because the pair was too long.
    pub truncation: Truncation,
}

impl Hit {
    /// The order of a ranking: [`Less`](Ordering::Less) if this hit ranks before the other. Sort
    /// stably, so that ties keep the order of the request.
    pub fn order(&self, other: &Hit) -> Ordering {
        let key = |hit: &Hit| hit.fused.unwrap_or(hit.logit);
        // Scores are not NaN, and -0.0 equals 0.0.
        key(other)
            .partial_cmp(&key(self))
            .unwrap_or(Ordering::Equal)
    }
}

/// The answer to [`Ranker::rerank_with`].
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Ranking {
    /// Best first. Ties keep the order of the request.
    pub hits: Vec<Hit>,
    /// Passages without a score because of the deadline, in the order of the request. Empty if the
    /// ranking is complete.
    pub unscored: Vec<usize>,
}

/// Options of a request.
///
#[cfg_attr(feature = "embedded-model", doc = "```")]
#[cfg_attr(not(feature = "embedded-model"), doc = "```no_run")]
/// use lanerank::{Fusion, Ranker, RerankOptions};
/// let options = RerankOptions {
///     top_k: Some(1),
///     first_stage: Some(&[12.1, 11.7]),
///     fusion: Fusion::ZScore { weight: 0.5 },
///     ..RerankOptions::default()
/// };
/// let passages = ["Bread dries out in the refrigerator.", "The lamp is lit at dusk."];
/// let ranking = Ranker::new()?.rerank_with("how to keep bread fresh", &passages, &options)?;
/// assert_eq!(ranking.hits.len(), 1);
/// # Ok::<(), lanerank::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RerankOptions<'a> {
    /// Return only this many hits.
    pub top_k: Option<usize>,
    /// Begin no passage after this. Passages are scored in the order of the request, so the first
    /// stage's best come first.
    pub deadline: Option<Instant>,
    /// The first stage's score of each passage, to blend with the model's.
    pub first_stage: Option<&'a [f32]>,
    /// How to blend with `first_stage`.
    pub fusion: Fusion,
    /// The end that is cut from long texts.
    pub truncation_side: TruncationSide,
    /// Most tokens of a passage, even if there is room for more.
    pub max_passage_tokens: Option<usize>,
}

impl Default for RerankOptions<'_> {
    fn default() -> Self {
        RerankOptions {
            top_k: None,
            deadline: None,
            first_stage: None,
            fusion: Fusion::ZScore { weight: 0.5 },
            truncation_side: TruncationSide::Right,
            max_passage_tokens: None,
        }
    }
}

impl RerankOptions<'_> {
    pub(crate) fn policy(&self) -> TruncationPolicy {
        TruncationPolicy {
            side: self.truncation_side,
            max_passage: self.max_passage_tokens,
        }
    }

    /// The policy of a sentence encoder's query, a text of its own.
    fn query_policy(&self) -> TruncationPolicy {
        TruncationPolicy {
            max_passage: None,
            ..self.policy()
        }
    }
}

/// Scores passages for a query with a cross-encoder, or by cosine similarity with a sentence
/// encoder.
///
/// Cheap to clone. One `Ranker` serves any number of threads. A passage's score depends on the
/// query and that passage alone, bit for bit: not on other passages, their order or the number of
/// threads.
///
/// The meaning of a score of 0.5 is a property of the model. The card of the embedded model states
/// it: [`default_model`](crate::default_model).
///
#[cfg_attr(feature = "embedded-model", doc = "```")]
#[cfg_attr(not(feature = "embedded-model"), doc = "```no_run")]
/// use lanerank::Ranker;
/// let ranker = Ranker::new()?;
/// let passages = ["The lamp is lit at dusk.", "Bread dries out in the refrigerator."];
/// let hits = ranker.rerank("how to keep bread fresh", &passages)?;
/// assert_eq!(hits[0].index, 1);
/// # Ok::<(), lanerank::Error>(())
/// ```
#[derive(Clone)]
pub struct Ranker(pub(crate) Arc<Shared>);

/// What clones of a ranker share.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    requests: Pool<Request>,
}

/// The memory of one request.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) query: PairQuery,
    scored: Vec<Option<Scored>>,
}

/// A query that was read once, for any number of calls of [`Ranker::rerank_query`] and
/// [`Ranker::explain_query`] of the same ranker.
#[derive(Debug)]
pub struct Query {
    pub(crate) read: ReadQuery,
    tokens: usize,
}

#[derive(Debug)]
pub(crate) enum ReadQuery {
    Pair(PairQuery),
    Vector(QueryVector),
}

/// A query of a sentence encoder.
#[derive(Debug)]
pub(crate) struct QueryVector {
    vector: Vec<f32>,
    /// Tokens cut.
    cut: usize,
}

impl Query {
    /// Its tokens before truncation, without special tokens.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

/// A query to read, or one that was read.
#[derive(Clone, Copy)]
enum Source<'a> {
    Text(&'a str),
    Read(&'a Query),
}

/// The result of one passage.
#[derive(Clone, Copy)]
struct Scored {
    score: f32,
    logit: f32,
    truncation: Truncation,
}

impl Ranker {
    pub(crate) fn from_engine(engine: Engine) -> Ranker {
        Ranker(Arc::new(Shared {
            engine,
            requests: Pool::default(),
        }))
    }

    /// The model in use.
    pub fn model(&self) -> &Model {
        &self.0.engine.scorer.model
    }

    /// The kernels in use.
    pub fn kernels(&self) -> &'static Kernels {
        self.0.engine.scorer.kernels
    }

    /// Longest sequence in tokens, query and special tokens included.
    pub fn max_length(&self) -> usize {
        self.0.engine.scorer.max_length
    }

    /// Ranks all passages, best first.
    ///
    /// # Errors
    /// [`Error::NotANumber`] if the model's arithmetic ends in NaN.
    pub fn rerank<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
    ) -> Result<Vec<Hit>, Error> {
        let options = RerankOptions::default();
        Ok(self.rerank_with(query, passages, &options)?.hits)
    }

    /// Ranks passages with options.
    ///
    /// # Errors
    /// [`Error::NotANumber`] if the model's arithmetic ends in NaN, [`Error::Argument`] if
    /// first-stage scores are not one finite number per passage.
    pub fn rerank_with<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        options: &RerankOptions<'_>,
    ) -> Result<Ranking, Error> {
        self.rank(Source::Text(query), passages, options)
    }

    /// Reads a query for [`Ranker::rerank_query`]. Of the options, those of truncation count.
    pub fn read_query(&self, query: &str, options: &RerankOptions<'_>) -> Query {
        let engine = &self.0.engine;
        let scorer = &engine.scorer;
        engine.with_scratch(|scratch| match self.model().config().head {
            Head::Classifier { .. } => {
                let mut pair = PairQuery::default();
                scorer.set_query(&mut pair, query, options.policy(), scratch);
                let tokens = pair.count();
                let read = ReadQuery::Pair(pair);
                Query { read, tokens }
            }
            Head::Encoder { .. } => {
                let (vector, cut) =
                    scorer.vector((Role::Query, query), options.query_policy(), scratch);
                let special = scorer.frame().single_overhead();
                let tokens = cut + scratch.batch.tokens().len().saturating_sub(special);
                let read = ReadQuery::Vector(QueryVector { vector, cut });
                Query { read, tokens }
            }
        })
    }

    /// As [`Ranker::rerank_with`], for a query that was read with the same truncation options.
    ///
    /// # Errors
    /// As [`Ranker::rerank_with`].
    pub fn rerank_query<P: AsRef<str> + Sync>(
        &self,
        query: &Query,
        passages: &[P],
        options: &RerankOptions<'_>,
    ) -> Result<Ranking, Error> {
        self.rank(Source::Read(query), passages, options)
    }

    fn rank<P: AsRef<str> + Sync>(
        &self,
        query: Source<'_>,
        passages: &[P],
        options: &RerankOptions<'_>,
    ) -> Result<Ranking, Error> {
        if let Some(scores) = options.first_stage
            && scores.len() != passages.len()
        {
            let reason = format!(
                "{} first-stage scores for {} passages",
                scores.len(),
                passages.len()
            );
            return Err(Error::Argument(reason));
        }
        let mut ranking = self.with_scored(query, passages, options, |scored| {
            let mut ranking = Ranking::default();
            for (index, scored) in scored.iter().enumerate() {
                match *scored {
                    None => ranking.unscored.push(index),
                    Some(scored) => ranking.hits.push(Hit {
                        index,
                        score: scored.score,
                        logit: scored.logit,
                        fused: None,
                        truncation: scored.truncation,
                    }),
                }
            }
            ranking
        })?;
        let hits = &mut ranking.hits;
        if let Some(first_stage) = options.first_stage {
            fuse_hits(hits, first_stage, options.fusion)?;
        }
        hits.sort_by(Hit::order);
        hits.truncate(options.top_k.unwrap_or(hits.len()));
        Ok(ranking)
    }

    /// Scores all passages, in the order of the request.
    ///
    /// # Errors
    /// As [`Ranker::rerank`].
    pub fn scores<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
    ) -> Result<Vec<f32>, Error> {
        let mut scores = vec![0.0; passages.len()];
        self.scores_into(query, passages, &mut scores)?;
        Ok(scores)
    }

    /// Scores all passages into a caller's buffer, in the order of the request.
    ///
    /// # Errors
    /// As [`Ranker::rerank`]; [`Error::Argument`] if the buffer's length is not the number of
    /// passages.
    pub fn scores_into<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        scores: &mut [f32],
    ) -> Result<(), Error> {
        if scores.len() != passages.len() {
            let reason = format!(
                "a buffer of {} for {} passages",
                scores.len(),
                passages.len()
            );
            return Err(Error::Argument(reason));
        }
        self.with_scored(
            Source::Text(query),
            passages,
            &RerankOptions::default(),
            |scored| {
                for (score, scored) in scores.iter_mut().zip(scored.iter().flatten()) {
                    *score = scored.score;
                }
            },
        )
    }

    /// Lends the memory of one request.
    pub(crate) fn with_request<T>(&self, work: impl FnOnce(&mut Request) -> T) -> T {
        self.0.requests.lend(work)
    }

    /// Scores the passages and gives the results to `take`: `None` after the deadline.
    fn with_scored<P: AsRef<str> + Sync, T>(
        &self,
        query: Source<'_>,
        passages: &[P],
        options: &RerankOptions<'_>,
        take: impl FnOnce(&[Option<Scored>]) -> T,
    ) -> Result<T, Error> {
        let engine = &self.0.engine;
        self.with_request(|request| {
            let Request { query: own, scored } = request;
            match (query, self.model().config().head) {
                (Source::Text(text), Head::Classifier { .. }) => {
                    let scorer = &engine.scorer;
                    engine.with_scratch(|s| scorer.set_query(own, text, options.policy(), s));
                    self.score_pairs(own, passages, options, scored)?;
                }
                (Source::Text(text), Head::Encoder { .. }) => {
                    let policy = options.query_policy();
                    let text = (Role::Query, text);
                    let read = engine.with_scratch(|s| engine.scorer.vector(text, policy, s));
                    let (vector, cut) = read;
                    self.score_vectors(&QueryVector { vector, cut }, passages, options, scored)?;
                }
                (Source::Read(query), _) => match &query.read {
                    ReadQuery::Pair(pair) => self.score_pairs(pair, passages, options, scored)?,
                    ReadQuery::Vector(v) => self.score_vectors(v, passages, options, scored)?,
                },
            }
            let scored = &scored[..];
            let is_nan = |scored: &Option<Scored>| scored.is_some_and(|s| s.logit.is_nan());
            if let Some(index) = scored.iter().position(is_nan) {
                return Err(Error::NotANumber { index });
            }
            Ok(take(scored))
        })
    }

    fn score_pairs<P: AsRef<str> + Sync>(
        &self,
        pair: &PairQuery,
        passages: &[P],
        options: &RerankOptions<'_>,
        scored: &mut Vec<Option<Scored>>,
    ) -> Result<(), Error> {
        let engine = &self.0.engine;
        let scorer = &engine.scorer;
        engine.run(
            passages,
            engine.pace_of(passages, options.deadline),
            &pair.prefix,
            scored,
            |passage, scratch| scorer.push_pair(pair, passage.as_ref(), scratch),
            |truncation, logits| {
                let logit = log_odds(logits);
                Scored {
                    score: math::sigmoid(logit),
                    logit,
                    truncation,
                }
            },
        )
    }

    fn score_vectors<P: AsRef<str> + Sync>(
        &self,
        query: &QueryVector,
        passages: &[P],
        options: &RerankOptions<'_>,
        scored: &mut Vec<Option<Scored>>,
    ) -> Result<(), Error> {
        let engine = &self.0.engine;
        let scorer = &engine.scorer;
        let policy = options.policy();
        engine.run(
            passages,
            engine.pace_of(passages, options.deadline),
            &Prefix::default(),
            scored,
            |passage, scratch| Truncation {
                query_tokens: query.cut,
                passage_tokens: scorer.push_single(
                    (Role::Passage, passage.as_ref()),
                    policy,
                    scratch,
                ),
            },
            |truncation, vector| {
                let cosine = cosine(scorer.kernels, &query.vector, vector);
                Scored {
                    score: cosine,
                    logit: cosine,
                    truncation,
                }
            },
        )
    }
}

fn fuse_hits(hits: &mut [Hit], first_stage: &[f32], fusion: Fusion) -> Result<(), Error> {
    let logits: Vec<f32> = hits.iter().map(|hit| hit.logit).collect();
    let theirs: Vec<f32> = hits.iter().map(|hit| first_stage[hit.index]).collect();
    for (hit, fused) in hits.iter_mut().zip(fuse(&logits, &theirs, fusion)?) {
        hit.fused = Some(fused);
    }
    Ok(())
}
