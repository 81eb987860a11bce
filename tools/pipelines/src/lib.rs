//! Search pipelines that end in lanerank, on real search engines, measured.
//!
//! | module | first stage |
//! |---|---|
//! | [`lexical`] | BM25 by tantivy |
//! | [`sqlite`] | BM25 by SQLite's FTS5, and `rerank_score` in SQL |
//! | [`semantic`] | vectors of lanerank's `Encoder` in usearch's HNSW index |
//! | [`hybrid`] | tantivy and usearch, fused by reciprocal rank |
//!
//! Each is a [`FirstStage`](first_stage::FirstStage); [`measure`] reranks what it finds and says what
//! that is worth. The binary is one call of [`main`]; README.md has its pages.

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

/// Index documents, retrieve, rerank, and say what reranking adds and costs
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
    /// All of them on several collections, as a Markdown table
    Table(TableArgs),
}

#[derive(Debug, clap::Args)]
struct SemanticArgs {
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    encoder: EncoderArgs,
}

/// Runs the command line and returns the exit code: 0, 1 for work that failed, 2 for usage or bad
/// input, which standard error names.
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
            // `rerank_score` with two arguments is the model inside.
            match args.query.is_none() && args.ranker.model.model.is_none() {
                true => report::print_in_sql(&engine, &collection, args.depth),
                false => Ok(()),
            }
        }
        Command::Semantic(SemanticArgs { search, encoder }) => {
            let encoder = encoder.open(search.ranker.limits.threads)?;
            let collection = search.collection()?;
            let engine = encoder.index(&collection.documents)?;
            search.answer("usearch", &engine, &collection)?;
            match search.query.is_none() {
                true => report::print_recall(&engine, &collection, search.depth),
                false => Ok(()),
            }
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
