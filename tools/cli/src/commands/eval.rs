//! `lanerank eval`: how much better a run gets by reranking.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use lanerank::format::write::write_file;
use lanerank::{Fusion, Ranker, RerankOptions};
use serde::Serialize;

use super::fusion::FusionArgs;
use super::model::RankerArgs;
use crate::eval::collection::Paths;
use crate::eval::run::{Candidate, append_trec, sort};
use crate::eval::{Collection, Gain, Metrics, metrics};
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

/// Rerank a test collection's candidates and measure nDCG@10, MRR@10, MAP and Recall@100 before and
/// after, averaged over all judged queries as `trec_eval -c` does
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Folder with corpus.jsonl, queries.jsonl, qrels.tsv (or qrels/test.tsv) and run.bm25.trec, each
    /// perhaps gzipped
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,

    /// First stage to rerank, in TREC format [default: the folder's]
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,

    /// Judgements, BEIR's three columns or TREC's four [default: the folder's]
    #[arg(long, value_name = "QRELS")]
    qrels: Option<PathBuf>,

    #[command(flatten)]
    ranker: RankerArgs,

    /// Measure the first stage alone; no model is needed
    #[arg(long, conflicts_with_all = ["fuse", "write_run"])]
    first_stage_only: bool,

    /// Candidates a query, before and after
    #[arg(long, value_name = "N", default_value_t = 100)]
    depth: usize,

    /// Only the first N queries
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    #[command(flatten)]
    fusion: FusionArgs,

    /// nDCG with the gain 2^score - 1 instead of the score itself
    #[arg(long)]
    exponential_gain: bool,

    /// Write the reranked run in TREC format, best first by logit or blend
    #[arg(long, value_name = "OUT.trec")]
    write_run: Option<PathBuf>,

    /// Show every query
    #[arg(long)]
    verbose: bool,

    /// Write a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    dataset: String,
    queries: usize,
    depth: usize,
    gain: Gain,
    averaged_over: &'static str,
    before: Metrics,
    after: Option<Metrics>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    per_query: Vec<QueryReport>,
}

#[derive(Serialize)]
struct QueryReport {
    query: String,
    before: Metrics,
    after: Option<Metrics>,
}

/// Runs the command.
///
/// # Errors
/// When the collection or the model is wrong, or the answer cannot be written.
pub fn run(args: &EvalArgs) -> Result<(), Failure> {
    let fusion = args.fusion.fusion()?;
    let ranker = match args.first_stage_only {
        true => None,
        false => Some(args.ranker.ranker()?),
    };
    let paths = Paths {
        folder: args.dataset.clone(),
        run: args.run.clone(),
        qrels: args.qrels.clone(),
    };
    let collection = Collection::open(&paths, args.depth, args.limit)?;
    let gain = match args.exponential_gain {
        true => Gain::Exponential,
        false => Gain::Linear,
    };
    let mut run = String::new();
    let bar = output::progress(collection.queries.len() as u64, "queries");
    let mut reports = Vec::with_capacity(collection.queries.len());
    for (id, query) in &collection.queries {
        let before = collection.run.top(id, args.depth);
        let after = match &ranker {
            Some(ranker) => Some(rerank(ranker, query, before, &collection, fusion)?),
            None => None,
        };
        if let (Some(_), Some(after)) = (&args.write_run, &after) {
            append_trec(&mut run, id, after, "lanerank");
        }
        let measure = |list: &[Candidate]| measure(&collection, id, list, gain);
        reports.push(QueryReport {
            query: id.clone(),
            before: measure(before),
            after: after.as_deref().map(measure),
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(path) = &args.write_run {
        write_file(path, run.as_bytes()).map_err(|e| Failure::Failed(e.to_string()))?;
    }
    let report = summarise(args, gain, reports);
    match args.json {
        true => output::print(|out| output::write_json(out, &report)),
        false => print_text(&report),
    }
}

/// A query's candidates by the model's score or the blend, ties as `trec_eval` breaks them.
fn rerank(
    ranker: &Ranker,
    query: &str,
    candidates: &[Candidate],
    collection: &Collection,
    fusion: Option<Fusion>,
) -> Result<Vec<Candidate>, Failure> {
    let texts: Vec<&str> = candidates
        .iter()
        .map(|c| collection.text(&c.document))
        .collect();
    let scores: Vec<f32> = candidates.iter().map(|c| c.score).collect();
    let defaults = RerankOptions::default();
    let options = RerankOptions {
        first_stage: fusion.map(|_| &scores[..]),
        fusion: fusion.unwrap_or(defaults.fusion),
        ..defaults
    };
    let ranking = ranker.rerank_with(query, &texts, &options)?;
    let mut reranked: Vec<Candidate> = ranking
        .hits
        .iter()
        .map(|hit| Candidate {
            document: candidates[hit.index].document.clone(),
            // The logit: scores close to 1 can be equal where logits are not.
            score: hit.fused.unwrap_or(hit.logit) + 0.0,
        })
        .collect();
    sort(&mut reranked);
    Ok(reranked)
}

fn measure(collection: &Collection, query: &str, list: &[Candidate], gain: Gain) -> Metrics {
    let ranking = list.iter().map(|c| c.document.as_str());
    match collection.qrels.judgements(query) {
        Some(judgements) => metrics::measure(ranking, judgements, gain),
        None => Metrics::default(),
    }
}

fn summarise(args: &EvalArgs, gain: Gain, reports: Vec<QueryReport>) -> Report {
    let before: Vec<Metrics> = reports.iter().map(|r| r.before).collect();
    let after: Vec<Metrics> = reports.iter().filter_map(|r| r.after).collect();
    Report {
        dataset: args.dataset.display().to_string(),
        queries: reports.len(),
        depth: args.depth,
        gain,
        averaged_over: match args.limit {
            None => "all judged queries, as trec_eval -c",
            Some(_) => "the first judged queries",
        },
        before: Metrics::mean(&before),
        after: (!args.first_stage_only).then(|| Metrics::mean(&after)),
        per_query: if args.verbose { reports } else { Vec::new() },
    }
}

fn print_text(report: &Report) -> Result<(), Failure> {
    let gain = match report.gain {
        Gain::Linear => "the score",
        Gain::Exponential => "2^score - 1",
    };
    let mut heading = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        heading,
        "{}: mean of {} queries ({}), first {} candidates, gain = {gain}",
        report.dataset, report.queries, report.averaged_over, report.depth
    );
    let summary = summary_table(report);
    let queries = query_table(report);
    output::print(|out| {
        let width = output::terminal_width();
        if !report.per_query.is_empty() {
            queries.write(out, width)?;
            writeln!(out)?;
        }
        writeln!(out, "{}", output::flat(&heading))?;
        summary.write(out, width)
    })
}

fn summary_table(report: &Report) -> Table {
    let after = report.after;
    let headings = ["measure", ">before", ">after", ">change"];
    let mut table = Table::new(&headings[..if after.is_some() { 4 } else { 2 }]);
    for (i, (name, before)) in report.before.named().into_iter().enumerate() {
        let mut row = vec![name.to_owned(), format!("{before:.4}")];
        if let Some(after) = after.map(|m| m.named()[i].1) {
            row.extend([format!("{after:.4}"), format!("{:+.4}", after - before)]);
        }
        table.row(row);
    }
    table
}

fn query_table(report: &Report) -> Table {
    let mut table = Table::new(&[
        "query",
        "stage",
        ">nDCG@10",
        ">MRR@10",
        ">MAP",
        ">Recall@100",
    ]);
    for query in &report.per_query {
        let stages = [("before", Some(query.before)), ("after", query.after)];
        for (stage, metrics) in stages {
            let Some(metrics) = metrics else { continue };
            let figures = metrics.named().map(|(_, value)| format!("{value:.4}"));
            table.row(
                [query.query.clone(), stage.to_owned()]
                    .into_iter()
                    .chain(figures),
            );
        }
    }
    table
}
