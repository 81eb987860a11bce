//! Reranking: a query and candidate passages in, scores and an order out.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use lanerank_kernels::{Kernels, math};

use crate::Error;
use crate::builder::Builder;
use crate::encoder::{cosine, encode_one, encode_with};
use crate::fuse::{Fusion, fuse};
use crate::model::{Head, Model};
use crate::scoring::{Cut, Engine, PairQuery};
use crate::scratch::Scratch;
use crate::tokenizer::{Truncation, TruncationSide};

/// A passage's place in a ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The passage's index among those given.
    pub index: usize,
    /// Relevance. From a cross-encoder 0 to 1: the sigmoid of `logit`. From a sentence encoder the
    /// cosine similarity, -1 to 1.
    pub score: f32,
    /// The model's output before the sigmoid; for a model with two logits the second less the
    /// first, so that `score` is the softmax's share of the second. From an encoder the cosine.
    /// Passages are ordered by it, because close to 1 scores can be equal where logits are not.
    pub logit: f32,
    /// The blend with the first stage's score that the passages are then ordered by, where
    /// [`RerankOptions::first_stage`] was given.
    pub fused: Option<f32>,
    /// What the model did not get to see because the pair was too long.
    pub truncation: Truncation,
}

/// The answer to [`Ranker::rerank_with`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ranking {
    /// Best first; equal passages in the order they were given.
    pub hits: Vec<Hit>,
    /// Passages that the deadline left without a score, in the order they were given. Empty
    /// means that the ranking is complete.
    pub unscored: Vec<usize>,
}

/// What a request may ask for beside its texts.
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
    /// Begin no further passage once this has passed. Passages are scored in the order given, so
    /// a first stage's best come first.
    pub deadline: Option<Instant>,
    /// The first stage's score of each passage, to be blended with ours.
    pub first_stage: Option<&'a [f32]>,
    /// How it is blended.
    pub fusion: Fusion,
    /// Which end of texts that are too long is cut.
    pub truncation_side: TruncationSide,
    /// Most tokens of a passage that the model gets to see, where there is room for more.
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
    pub(crate) fn cut(&self) -> Cut {
        Cut {
            side: self.truncation_side,
            max_passage: self.max_passage_tokens,
        }
    }
}

/// Scores passages for a query with a cross-encoder, or by cosine similarity with a sentence
/// encoder.
///
/// Cheap to clone; one `Ranker` serves any number of threads at once. A passage's score depends on
/// the query and that passage alone, bit for bit: not on the other passages, their order or the
/// number of threads.
///
/// What a score of 0.5 means is a property of the model; for the embedded one its card says it:
/// [`default_model`](crate::default_model).
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
pub struct Ranker(pub(crate) Arc<Engine>);

impl Ranker {
    /// A ranker on the [`default_model`](crate::default_model) inside this crate: no file, no
    /// network. The same as `Ranker::builder().build()`.
    ///
    /// There is no `Default`, because this can fail.
    ///
    /// # Errors
    /// [`Error::Argument`] where this build lacks the feature `embedded-model`, [`Error::Isa`] where
    /// `LANERANK_ISA` names a tier that this CPU lacks.
    pub fn new() -> Result<Ranker, Error> {
        Ranker::builder().build()
    }

    /// Sets up a ranker with another model or other choices.
    pub fn builder() -> Builder<Ranker> {
        Builder::default()
    }

    pub(crate) fn from_engine(engine: Engine) -> Ranker {
        Ranker(Arc::new(engine))
    }

    /// The model in use.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// The kernels in use.
    pub fn kernels(&self) -> &'static Kernels {
        self.0.kernels
    }

    /// Longest sequence, in tokens, query and special tokens included.
    pub fn max_length(&self) -> usize {
        self.0.max_length
    }

    /// Ranks all passages, best first.
    ///
    /// # Errors
    /// [`Error::NotANumber`] where the model's arithmetic ends in NaN.
    pub fn rerank<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
    ) -> Result<Vec<Hit>, Error> {
        let options = RerankOptions::default();
        Ok(self.rerank_with(query, passages, &options)?.hits)
    }

    /// Ranks passages as the options say.
    ///
    /// # Errors
    /// [`Error::NotANumber`] where the model's arithmetic ends in NaN, [`Error::Argument`] where
    /// first-stage scores are not one finite number a passage.
    pub fn rerank_with<P: AsRef<str> + Sync>(
        &self,
        query: &str,
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
        let scored = Mutex::new(vec![None; passages.len()]);
        self.score_each(query, passages, options, |index, hit| {
            lock(&scored)[index] = Some(hit);
        })?;
        let scored = scored.into_inner().unwrap_or_else(|e| e.into_inner());
        let unscored = (0..scored.len()).filter(|&i| scored[i].is_none()).collect();
        let mut hits: Vec<Hit> = scored.into_iter().flatten().collect();
        if let Some(first_stage) = options.first_stage {
            fuse_hits(&mut hits, first_stage, options.fusion)?;
        }
        let key = |hit: &Hit| hit.fused.unwrap_or(hit.logit);
        // NaN was refused; the sort is stable, and -0.0 equals 0.0.
        hits.sort_by(|a, b| {
            key(b)
                .partial_cmp(&key(a))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        hits.truncate(options.top_k.unwrap_or(hits.len()));
        Ok(Ranking { hits, unscored })
    }

    /// Scores all passages, in the order given.
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

    /// Scores all passages into a buffer of the caller's, in the order given.
    ///
    /// # Errors
    /// As [`Ranker::rerank`]; [`Error::Argument`] where the buffer's length is not the number of
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
        let scores = Mutex::new(scores);
        self.score_each(query, passages, &RerankOptions::default(), |index, hit| {
            lock(&scores)[index] = hit.score;
        })
    }

    /// Gives each passage's hit to `emit`, in any order, from any thread.
    fn score_each<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        options: &RerankOptions<'_>,
        emit: impl Fn(usize, Hit) + Sync,
    ) -> Result<(), Error> {
        let nan = Mutex::new(None);
        let checked = |hit: Hit| match hit.logit.is_nan() {
            true => {
                let mut first = lock(&nan);
                *first = Some(first.map_or(hit.index, |i: usize| i.min(hit.index)));
            }
            false => emit(hit.index, hit),
        };
        match self.0.model.config().head {
            Head::Classifier { .. } => self.score_pairs(query, passages, options, checked),
            Head::Encoder { .. } => self.score_vectors(query, passages, options, checked),
        }
        match nan.into_inner().unwrap_or_else(|e| e.into_inner()) {
            Some(index) => Err(Error::NotANumber { index }),
            None => Ok(()),
        }
    }

    fn score_pairs<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        options: &RerankOptions<'_>,
        emit: impl Fn(Hit) + Sync,
    ) {
        let engine = &*self.0;
        let tokenizer = &engine.tokenizer;
        engine.with_query(|pair| {
            engine.with_scratch(|scratch| {
                let kernels = engine.kernels;
                pair.set(
                    &engine.model,
                    tokenizer,
                    kernels,
                    query,
                    engine.max_length,
                    options.cut(),
                    scratch,
                );
            });
            let pair = &*pair;
            engine.run(
                passages,
                engine.batch_rows(passages, options.deadline),
                &pair.prefix,
                options.deadline,
                |passage, scratch| pair.push(tokenizer, passage.as_ref(), scratch),
                |batch, out| {
                    let width = engine.model.bert().out_width();
                    for (&(index, truncation), logits) in batch.iter().zip(out.chunks_exact(width))
                    {
                        let logit = log_odds(logits);
                        emit(Hit {
                            index,
                            score: math::sigmoid(logit),
                            logit,
                            fused: None,
                            truncation,
                        });
                    }
                },
            );
        });
    }

    fn score_vectors<P: AsRef<str> + Sync>(
        &self,
        query: &str,
        passages: &[P],
        options: &RerankOptions<'_>,
        emit: impl Fn(Hit) + Sync,
    ) {
        let (engine, cut) = (&*self.0, options.cut());
        let (query, query_cut) = engine.with_scratch(|scratch| {
            encode_one(
                &engine.model,
                &engine.tokenizer,
                engine.kernels,
                query,
                engine.max_length,
                Cut {
                    max_passage: None,
                    ..cut
                },
                scratch,
            )
        });
        encode_with(
            engine,
            passages,
            options.deadline,
            cut,
            |index, vector, passage_cut| {
                let cosine = cosine(engine.kernels, &query, vector);
                emit(Hit {
                    index,
                    score: cosine,
                    logit: cosine,
                    fused: None,
                    truncation: Truncation {
                        query_tokens: query_cut,
                        passage_tokens: passage_cut,
                    },
                });
            },
        );
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// The one logit, or the second of two less the first: softmax(a, b)\[1\] = sigmoid(b - a).
pub(crate) fn log_odds(logits: &[f32]) -> f32 {
    match logits {
        [no, yes] => yes - no,
        _ => logits[0],
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

/// The logit of one pair (for an encoder, the cosine), without a ranker.
pub(crate) fn score_pair(
    model: &Model,
    kernels: &Kernels,
    query: &str,
    passage: &str,
    scratch: &mut Scratch,
) -> f32 {
    let max_length = model.config().max_length;
    match model.config().head {
        Head::Classifier { .. } => {
            let tokenizer = model.tokenizer();
            let mut pair = PairQuery::default();
            let cut = Cut::default();
            pair.set(model, tokenizer, kernels, query, max_length, cut, scratch);
            scratch.batch.clear();
            pair.push(tokenizer, passage, scratch);
            model.bert().run(kernels, &pair.prefix, scratch);
            log_odds(&scratch.out)
        }
        Head::Encoder { .. } => {
            let mut vector = |text| {
                encode_one(
                    model,
                    model.tokenizer(),
                    kernels,
                    text,
                    max_length,
                    Cut::default(),
                    scratch,
                )
                .0
            };
            let (query, passage) = (vector(query), vector(passage));
            cosine(kernels, &query, &passage)
        }
    }
}
