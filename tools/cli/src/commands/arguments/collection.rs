//! Arguments that name a test collection and the part of it to use.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::trec::collection::Paths;
use crate::trec::{Collection, Gain};

/// A test collection.
#[derive(Debug, Args)]
pub(crate) struct CollectionArgs {
    /// Folder with corpus.jsonl, queries.jsonl, qrels.tsv (or qrels/test.tsv) and run.bm25.trec; or
    /// with collection.tsv, queries.tsv, qrels.trec and run.trec. Files may be gzipped
    #[arg(long, value_name = "DIR", alias = "on")]
    pub dataset: PathBuf,

    /// First stage to rerank, in TREC format [default: the folder's]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,

    /// Judgements, BEIR's three columns or TREC's four [default: the folder's]
    #[arg(long, value_name = "QRELS")]
    qrels: Option<PathBuf>,

    /// Candidates per query
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
    /// When a part is missing or wrong.
    pub(crate) fn open(&self) -> Result<Collection, Failure> {
        let paths = Paths {
            folder: self.dataset.clone(),
            run: self.run.clone(),
            qrels: self.qrels.clone(),
        };
        Collection::open(&paths, self.depth, self.limit)
    }

    /// The gain of a relevant document.
    pub(crate) fn gain(&self) -> Gain {
        if self.exponential_gain {
            Gain::Exponential
        } else {
            Gain::Linear
        }
    }

    /// Description of the queries that means are taken over.
    pub(crate) fn averaged_over(&self) -> &'static str {
        match self.limit {
            None => "all judged queries, as trec_eval -c",
            Some(_) => "the first judged queries",
        }
    }
}
