//! `table`: all pipelines on several collections.

use std::path::PathBuf;

use clap::Args;
use lanerank::Ranker;
use lanerank_cli::commands::RankerArgs;
use lanerank_cli::failure::Failure;
use lanerank_cli::output;

use crate::arguments::{EncoderArgs, NO_ENCODER, OpenEncoder, SMALL};
use crate::collection::Collection;
use crate::first_stage::FirstStage;
use crate::hybrid::Hybrid;
use crate::lexical::Lexical;
use crate::measure::{self, Measured};
use crate::report::ms;
use crate::sqlite::Sqlite;

const HEADING: &str = "\
| set | documents, queries | pipeline | retrieved | reranked | blended | retrieval ms | rerank ms |
|---|---|---|---|---|---|---|---|";

/// Arguments of `table`.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// Folder with a collection; can be repeated [default: a small collection]
    #[arg(long, value_name = "FOLDER", default_value = SMALL, hide_default_value = true)]
    data: Vec<PathBuf>,

    /// Candidates per query
    #[arg(long, value_name = "N", default_value_t = 100)]
    depth: usize,

    /// Only the first N queries of each collection
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    #[command(flatten)]
    ranker: RankerArgs,

    #[command(flatten)]
    encoder: EncoderArgs,
}

/// Runs the command. Without an encoder the rows that need one are skipped, with a notice on
/// standard error.
///
/// # Errors
/// When a collection, a model or an engine is wrong, or the table cannot be written.
pub fn run(args: &TableArgs) -> Result<(), Failure> {
    let ranker = args.ranker.ranker()?;
    let encoder = if args.encoder.is_given() {
        Some(args.encoder.open(args.ranker.limits.threads)?)
    } else {
        output::notice(format!("semantic and hybrid skipped: {NO_ENCODER}"));
        None
    };
    output::print(|out| writeln!(out, "{HEADING}"))?;
    for folder in &args.data {
        let collection = Collection::open(folder, args.limit)?;
        rows(&collection, &ranker, encoder.as_ref(), args.depth)?;
    }
    Ok(())
}

fn rows(
    collection: &Collection,
    ranker: &Ranker,
    encoder: Option<&OpenEncoder<'_>>,
    depth: usize,
) -> Result<(), Failure> {
    let lexical = Lexical::index(&collection.documents)?;
    let sqlite = Sqlite::index(&collection.documents)?;
    let row = |pipeline: &str, engine: &dyn FirstStage| {
        let measured = measure::run(engine, ranker, collection, depth, None)?;
        print_row(collection, pipeline, &measured)
    };
    row("lexical (tantivy)", &lexical)?;
    row("lexical (FTS5)", &sqlite)?;
    if let Some(encoder) = encoder {
        let semantic = encoder.index(&collection.documents)?;
        row("semantic (usearch)", &semantic)?;
        row("hybrid", &Hybrid(vec![&lexical, &semantic]))?;
    }
    Ok(())
}

fn print_row(collection: &Collection, pipeline: &str, measured: &Measured) -> Result<(), Failure> {
    let [retrieved, reranked, blended] = measured.ndcg;
    let (documents, queries) = (collection.documents.len(), collection.queries.len());
    let (retrieval, rerank) = (ms(measured.retrieval), ms(measured.rerank));
    let row = format!(
        "| {} | {documents}, {queries} | {pipeline} \
         | {retrieved:.4} | {reranked:.4} | {blended:.4} | {retrieval} | {rerank} |",
        collection.name()
    );
    output::print(|out| writeln!(out, "{}", output::flat(&row)))
}
