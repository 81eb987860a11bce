//! Scores and ranks into the caller's arrays.

use std::ptr;

use lanerank::{Hit, RerankOptions};

use crate::error::{Failure, LanerankStatus, guarded};
use crate::open::{LanerankRanker, handle};
use crate::text::{LanerankText, slice_mut, texts};

/// A passage's place in a ranking.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LanerankHit {
    /// The passage's index in the input.
    pub index: usize,
    /// Tokens truncated from the query.
    pub query_tokens_cut: usize,
    /// Tokens truncated from the passage.
    pub passage_tokens_cut: usize,
    /// Relevance: 0 to 1 from a cross-encoder, the cosine similarity from a sentence encoder.
    pub score: f32,
    /// The model's output before the sigmoid.
    pub logit: f32,
}

impl From<Hit> for LanerankHit {
    fn from(hit: Hit) -> Self {
        LanerankHit {
            index: hit.index,
            query_tokens_cut: hit.truncation.query_tokens,
            passage_tokens_cut: hit.truncation.passage_tokens,
            score: hit.score,
            logit: hit.logit,
        }
    }
}

/// Scores passages for a query. scores has room for count floats and receives them in the order of
/// the passages. On failure it is unchanged.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed. Every text's pointer and length
/// must be right. `scores` must have the room, and nothing else may use it during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_scores(
    ranker: *const LanerankRanker,
    query: LanerankText,
    passages: *const LanerankText,
    count: usize,
    scores: *mut f32,
) -> LanerankStatus {
    guarded(|| {
        // SAFETY: the caller's promises are the same.
        let (ranker, query, passages, room) = unsafe {
            (
                handle(ranker)?,
                query.get(&"query")?,
                texts("passages", passages, count)?,
                slice_mut(&"scores", scores, count)?,
            )
        };
        let scores = ranker.ranker.scores(query, &passages)?;
        for (place, score) in room.iter_mut().zip(scores) {
            place.write(score);
        }
        Ok(())
    })
}

/// Ranks passages for a query, best first; equal ones keep their order. hits has room for capacity
/// hits; if capacity is less than count, only the best are written. *written is set to their
/// number.
///
/// # Safety
/// As `lanerank_scores`, with `hits` and `written` instead of `scores`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_rerank(
    ranker: *const LanerankRanker,
    query: LanerankText,
    passages: *const LanerankText,
    count: usize,
    hits: *mut LanerankHit,
    capacity: usize,
    written: *mut usize,
) -> LanerankStatus {
    guarded(|| {
        if written.is_null() || !written.is_aligned() {
            return Err(Failure::argument("written is NULL or misaligned"));
        }
        // SAFETY: neither null nor misaligned, and the caller promises room.
        unsafe { ptr::write(written, 0) };
        // SAFETY: the caller's promises are the same.
        let (ranker, query, passages, room) = unsafe {
            (
                handle(ranker)?,
                query.get(&"query")?,
                texts("passages", passages, count)?,
                slice_mut(&"hits", hits, capacity.min(count))?,
            )
        };
        let options = RerankOptions {
            top_k: Some(room.len()),
            ..RerankOptions::default()
        };
        let ranking = ranker.ranker.rerank_with(query, &passages, &options)?;
        for (place, hit) in room.iter_mut().zip(&ranking.hits) {
            place.write((*hit).into());
        }
        // SAFETY: as above.
        unsafe { ptr::write(written, ranking.hits.len()) };
        Ok(())
    })
}
