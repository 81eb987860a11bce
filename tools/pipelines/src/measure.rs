//! Measures a pipeline on all queries of a collection: quality and time of each stage.

use std::path::Path;
use std::time::{Duration, Instant};

use lanerank::format::write::write_file;
use lanerank::{Fusion, Hit, Ranker, RerankOptions};
use lanerank_cli::failure::Failure;
use lanerank_cli::output;
use lanerank_cli::trec::metrics::{Gain, measure};
use lanerank_cli::trec::run::{Candidate, append_trec, sort};

use crate::collection::Collection;
use crate::first_stage::{FirstStage, Found};

/// The default blend of both stages, as in [`Fusion`].
const BLEND: Fusion = Fusion::ZScore { weight: 0.5 };

/// The measured stages, in the order of the arrays below.
pub const STAGES: [&str; 3] = ["retrieved", "reranked", "blended"];

/// A pipeline's measurements on a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Mean nDCG@10 over the queries, by stage.
    pub ndcg: [f64; 3],
    /// Median time of a query's retrieval.
    pub retrieval: Duration,
    /// Median time of reranking a query's candidates.
    pub rerank: Duration,
}

/// Reranks the results of a first stage: hits with indices into `found`, best blend first.
///
/// # Errors
/// When the model computes NaN.
pub fn rerank(
    ranker: &Ranker,
    collection: &Collection,
    query: &str,
    found: &[Found],
) -> Result<Vec<Hit>, Failure> {
    let texts: Vec<&str> = found.iter().map(|f| collection.text(f.document)).collect();
    let scores: Vec<f32> = found.iter().map(|f| f.score).collect();
    let options = RerankOptions {
        first_stage: Some(&scores),
        fusion: BLEND,
        ..RerankOptions::default()
    };
    Ok(ranker.rerank_with(query, &texts, &options)?.hits)
}

/// Measures a pipeline. `runs` is a folder for the rankings of all three stages, in TREC's format.
///
/// # Errors
/// When the first stage or the model fails, or the folder cannot be written.
pub fn run(
    first_stage: &dyn FirstStage,
    ranker: &Ranker,
    collection: &Collection,
    depth: usize,
    runs: Option<&Path>,
) -> Result<Measured, Failure> {
    warm_up(first_stage, ranker, collection, depth)?;
    let bar = output::progress(collection.queries.len() as u64, "queries");
    let (mut sums, mut trec) = ([0.0; 3], [const { String::new() }; 3]);
    let (mut retrievals, mut reranks) = (Vec::new(), Vec::new());
    for (id, query) in &collection.queries {
        let begin = Instant::now();
        let found = first_stage.retrieve(query, depth)?;
        let between = Instant::now();
        let hits = rerank(ranker, collection, query, &found)?;
        reranks.push(between.elapsed());
        retrievals.push(between - begin);
        for (stage, ranking) in rankings(collection, &found, &hits).iter().enumerate() {
            sums[stage] += ndcg(collection, id, ranking);
            if runs.is_some() {
                append_trec(&mut trec[stage], id, ranking, STAGES[stage]);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(folder) = runs {
        write_runs(folder, &trec)?;
    }
    Ok(Measured {
        ndcg: sums.map(|sum| sum / collection.queries.len() as f64),
        retrieval: median(retrievals),
        rerank: median(reranks),
    })
}

/// Warms up buffers and threads, so that the first queries take no longer than the others.
fn warm_up(
    first_stage: &dyn FirstStage,
    ranker: &Ranker,
    collection: &Collection,
    depth: usize,
) -> Result<(), Failure> {
    for (_, query) in collection.queries.iter().take(3) {
        rerank(
            ranker,
            collection,
            query,
            &first_stage.retrieve(query, depth)?,
        )?;
    }
    Ok(())
}

/// The rankings of the stages, each in `trec_eval`'s order.
fn rankings(collection: &Collection, found: &[Found], hits: &[Hit]) -> [Vec<Candidate>; 3] {
    let candidate = |found: &Found, score: f32| Candidate {
        document: collection.documents[found.document].id.clone(),
        // Adding 0 turns -0 into 0, so that they tie.
        score: score + 0.0,
    };
    let reranked = |score: fn(&Hit) -> f32| {
        let candidates = hits
            .iter()
            .map(|hit| candidate(&found[hit.index], score(hit)));
        candidates.collect()
    };
    let mut rankings: [Vec<Candidate>; 3] = [
        found.iter().map(|f| candidate(f, f.score)).collect(),
        // By logit, because scores close to 1 can be equal although logits differ.
        reranked(|hit| hit.logit),
        reranked(|hit| hit.fused.unwrap_or(hit.logit)),
    ];
    rankings.iter_mut().for_each(|ranking| sort(ranking));
    rankings
}

fn ndcg(collection: &Collection, query: &str, ranking: &[Candidate]) -> f64 {
    let ids = ranking.iter().map(|c| c.document.as_str());
    let judgements = collection.qrels.judgements(query);
    judgements.map_or(0.0, |j| measure(ids, j, Gain::Linear).ndcg_at_10)
}

fn write_runs(folder: &Path, trec: &[String; 3]) -> Result<(), Failure> {
    for (stage, run) in STAGES.iter().zip(trec) {
        write_file(&folder.join(format!("{stage}.trec")), run.as_bytes())?;
    }
    Ok(())
}

/// The median: the lower of two, zero of none.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.len().saturating_sub(1) / 2;
    times.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let ms = |list: &[u64]| list.iter().map(|&t| Duration::from_millis(t)).collect();
        assert_eq!(median(ms(&[5, 1, 3])), Duration::from_millis(3));
        assert_eq!(median(ms(&[4, 1, 3, 2])), Duration::from_millis(2));
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }
}
