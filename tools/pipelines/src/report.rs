//! Output of the commands.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use lanerank::Hit;
use lanerank_cli::failure::Failure;
use lanerank_cli::output;
use lanerank_cli::table::Table;

use crate::collection::Collection;
use crate::first_stage::{FirstStage, Found};
use crate::measure::{Measured, STAGES, median};
use crate::semantic::Semantic;
use crate::sqlite::Sqlite;

/// Number of characters shown of a document.
const SHOWN: usize = 64;

/// Formats a time in milliseconds.
pub fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// Prints each stage's nDCG@10 and time.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_measured(
    collection: &Collection,
    engine: &str,
    depth: usize,
    measured: &Measured,
) -> Result<(), Failure> {
    let mut table = Table::new(&["stage", ">nDCG@10", ">ms a query"]);
    let times = [ms(measured.retrieval), ms(measured.rerank), String::new()];
    for ((stage, ndcg), time) in STAGES.iter().zip(measured.ndcg).zip(times) {
        table.row([(*stage).to_owned(), format!("{ndcg:.4}"), time]);
    }
    let heading = format!(
        "{}: {} documents, {} queries, first {depth} of {engine}",
        collection.name(),
        collection.documents.len(),
        collection.queries.len()
    );
    output::print(|out| {
        writeln!(out, "{}", output::flat(&heading))?;
        table.write(out, output::terminal_width())
    })
}

/// Prints the time of one SQL statement that retrieves and reranks.
///
/// # Errors
/// When SQLite fails or standard output cannot be written.
pub fn print_in_sql(sqlite: &Sqlite, collection: &Collection, depth: usize) -> Result<(), Failure> {
    let mut times = Vec::with_capacity(collection.queries.len());
    for (_, query) in &collection.queries {
        let begin = Instant::now();
        sqlite.retrieve_and_rerank(query, depth)?;
        times.push(begin.elapsed());
    }
    let time = ms(median(times));
    output::print(|out| writeln!(out, "both in one SQL statement: {time} ms a query"))
}

/// Prints the index's recall: its share of the documents that exact search finds.
///
/// # Errors
/// When the engine fails or standard output cannot be written.
pub fn print_recall(
    semantic: &Semantic,
    collection: &Collection,
    depth: usize,
) -> Result<(), Failure> {
    let (mut both, mut exact) = (0, 0);
    for (_, query) in &collection.queries {
        let documents = |found: Vec<Found>| -> HashSet<usize> {
            found.into_iter().map(|f| f.document).collect()
        };
        let all = documents(semantic.retrieve_exactly(query, depth)?);
        let found = documents(semantic.retrieve(query, depth)?);
        both += all.intersection(&found).count();
        exact += all.len();
    }
    let percent = 100.0 * both as f64 / exact.max(1) as f64;
    output::print(|out| {
        writeln!(
            out,
            "of the exact first {depth} the index found {percent:.2} %"
        )
    })
}

/// Prints a query's best documents, and their rank in each stage.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_results(
    collection: &Collection,
    found: &[Found],
    hits: &[Hit],
    top: usize,
) -> Result<(), Failure> {
    if hits.is_empty() {
        return output::print(|out| writeln!(out, "nothing found"));
    }
    let mut by_logit: Vec<&Hit> = hits.iter().collect();
    by_logit.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    let mut reranked = vec![0; found.len()];
    for (place, hit) in (1usize..).zip(by_logit) {
        reranked[hit.index] = place;
    }
    let mut table = Table::new(&[
        ">blended",
        ">retrieved",
        ">reranked",
        ">score",
        "document",
        "text",
    ]);
    for (place, hit) in (1usize..).zip(hits).take(top) {
        let document = &collection.documents[found[hit.index].document];
        table.row([
            place.to_string(),
            (hit.index + 1).to_string(),
            reranked[hit.index].to_string(),
            format!("{:.4}", hit.score),
            document.id.clone(),
            document.text.chars().take(SHOWN).collect(),
        ]);
    }
    output::print(|out| table.write(out, output::terminal_width()))
}
