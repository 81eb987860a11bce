//! Search pipelines with lanerank as the last stage, on real search engines, with measurements.
//!
//! | module | first stage |
//! |---|---|
//! | [`lexical`] | BM25 by tantivy |
//! | [`sqlite`] | BM25 by SQLite's FTS5, and `rerank_score` in SQL |
//! | [`semantic`] | vectors of lanerank's `Encoder` in usearch's HNSW index |
//! | [`hybrid`] | tantivy and usearch, fused by reciprocal rank |
//!
//! Each is a [`FirstStage`](first_stage::FirstStage). [`measure`] reranks its results and measures
//! quality and time. The binary is one call of [`main`]; README.md describes its commands.

pub mod arguments;
pub mod collection;
pub mod first_stage;
pub mod hybrid;
pub mod lexical;
pub mod measure;
pub mod report;
pub mod semantic;
pub mod sqlite;
pub mod table;
pub mod vectors;

use clap::{Parser, Subcommand};
use lanerank_cli::failure::Failure;

use arguments::{EncoderArgs, SearchArgs};
use hybrid::Hybrid;
use lexical::Lexical;
use sqlite::Sqlite;
use table::TableArgs;

/// Index documents, retrieve, rerank, and measure what reranking adds and costs
#[derive(Debug, Parser)]
#[command(name = "lanerank-pipelines", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// BM25 by tantivy, then rerank
    Lexical(SearchArgs),
    /// BM25 by SQLite's FTS5, then rerank; also in one SQL statement, with `rerank_score`
    Sqlite(SearchArgs),
    /// Vectors of lanerank's encoder in usearch's index, then rerank
    Semantic(SemanticArgs),
    /// tantivy and usearch fused by reciprocal rank, then rerank
    Hybrid(SemanticArgs),
    /// All pipelines on several collections, as a Markdown table
    Table(TableArgs),
}

#[derive(Debug, clap::Args)]
struct SemanticArgs {
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// Runs the command line and returns the exit code: 0 for success, 1 for failed work, 2 for wrong
/// usage or bad input. Errors go to standard error.
pub fn main() -> u8 {
    lanerank_cli::exit_code(run(&Cli::parse().command))
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Lexical(args) => {
            let collection = args.collection()?;
            let engine = Lexical::index(&collection.documents)?;
            args.answer("tantivy", &engine, &collection)
        }
        Command::Sqlite(args) => {
            let collection = args.collection()?;
            let engine = Sqlite::index(&collection.documents)?;
            args.answer("FTS5", &engine, &collection)?;
            // `rerank_score` with two arguments uses the embedded model.
            if args.query.is_none() && args.ranker.model.model.is_none() {
                report::print_in_sql(&engine, &collection, args.depth)?;
            }
            Ok(())
        }
        Command::Semantic(SemanticArgs { search, encoder }) => {
            let encoder = encoder.open(search.ranker.limits.threads)?;
            let collection = search.collection()?;
            let engine = encoder.index(&collection.documents)?;
            search.answer("usearch", &engine, &collection)?;
            if search.query.is_none() {
                report::print_recall(&engine, &collection, search.depth)?;
            }
            Ok(())
        }
        Command::Hybrid(SemanticArgs { search, encoder }) => {
            let encoder = encoder.open(search.ranker.limits.threads)?;
            let collection = search.collection()?;
            let semantic = encoder.index(&collection.documents)?;
            let lexical = Lexical::index(&collection.documents)?;
            let engine = Hybrid(vec![&lexical, &semantic]);
            search.answer("tantivy and usearch", &engine, &collection)
        }
        Command::Table(args) => table::run(args),
    }
}
