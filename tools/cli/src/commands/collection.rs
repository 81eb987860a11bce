//! Arguments that name a test collection and say how much of it counts.

use std::path::PathBuf;

use clap::Args;

use crate::eval::collection::Paths;
use crate::eval::{Collection, Gain};
use crate::failure::Failure;

/// A test collection.
#[derive(Debug, Args)]
pub struct CollectionArgs {
    /// Folder with corpus.jsonl, queries.jsonl, qrels.tsv (or qrels/test.tsv) and run.bm25.trec, or with
    /// collection.tsv, queries.tsv, qrels.trec and run.trec, each perhaps gzipped
    #[arg(long, value_name = "DIR", alias = "on")]
    pub dataset: PathBuf,

    /// First stage to rerank, in TREC format [default: the folder's]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,

    /// Judgements, BEIR's three columns or TREC's four [default: the folder's]
    #[arg(long, value_name = "QRELS")]
    qrels: Option<PathBuf>,

    /// Candidates a query
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub depth: usize,

    /// Only the first N queries
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// nDCG with the gain 2^score - 1 instead of the score itself
    #[arg(long)]
    exponential_gain: bool,
}

impl CollectionArgs {
    /// Reads it.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn open(&self) -> Result<Collection, Failure> {
        let paths = Paths {
            folder: self.dataset.clone(),
            run: self.run.clone(),
            qrels: self.qrels.clone(),
        };
        Collection::open(&paths, self.depth, self.limit)
    }

    /// What a relevant document is worth.
    pub fn gain(&self) -> Gain {
        match self.exponential_gain {
            true => Gain::Exponential,
            false => Gain::Linear,
        }
    }

    /// Which queries means are over, for people.
    pub fn averaged_over(&self) -> &'static str {
        match self.limit {
            None => "all judged queries, as trec_eval -c",
            Some(_) => "the first judged queries",
        }
    }
}
