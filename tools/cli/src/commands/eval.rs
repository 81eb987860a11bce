//! `lanerank eval`: the quality of a run before and after reranking.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use lanerank::format::write::write_file;
use lanerank::{Fusion, Ranker, RerankOptions};
use serde::Serialize;

use super::arguments::collection::CollectionArgs;
use super::arguments::fusion::FusionArgs;
use super::arguments::model::RankerArgs;
use crate::failure::Failure;
use crate::output;
use crate::table::Table;
use crate::trec::run::{Candidate, append_trec, sort};
use crate::trec::{Collection, Gain, Metrics, metrics};

/// Rerank a test collection's candidates and measure nDCG@10, MRR@10, MAP and Recall@100 before and
/// after, averaged over all judged queries like `trec_eval -c`. p is from Fisher's paired
/// randomisation test
#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    collection: CollectionArgs,

    #[command(flatten)]
    ranker: RankerArgs,

    /// Measure only the first stage; needs no model
    #[arg(long, conflicts_with_all = ["fuse", "write_run"])]
    first_stage_only: bool,

    #[command(flatten)]
    fusion: FusionArgs,

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
    /// By Fisher's randomisation test on the change of each measure.
    p_value: Option<Metrics>,
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
    let ranker = if args.first_stage_only {
        None
    } else {
        Some(args.ranker.ranker()?)
    };
    let collection = args.collection.open()?;
    let (depth, gain) = (args.collection.depth, args.collection.gain());
    let mut run = String::new();
    let bar = output::progress(collection.queries.len() as u64, "queries");
    let mut reports = Vec::with_capacity(collection.queries.len());
    for (id, query) in &collection.queries {
        let before = collection.run.top(id, depth);
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
    if args.json {
        output::print(|out| output::write_json(out, &report))
    } else {
        print_text(&report)
    }
}

/// A query's candidates by logit or blend; breaks ties like `trec_eval`.
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
            // Not the score: scores close to 1 can be equal where logits differ.
            score: hit.fused.unwrap_or(hit.logit) + 0.0,
        })
        .collect();
    sort(&mut reranked);
    Ok(reranked)
}

/// Measures a ranking; all zeros for a query without judgements.
pub(super) fn measure(
    collection: &Collection,
    query: &str,
    list: &[Candidate],
    gain: Gain,
) -> Metrics {
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
        dataset: args.collection.dataset.display().to_string(),
        queries: reports.len(),
        depth: args.collection.depth,
        gain,
        averaged_over: args.collection.averaged_over(),
        before: Metrics::mean(&before),
        after: (!args.first_stage_only).then(|| Metrics::mean(&after)),
        p_value: (!args.first_stage_only).then(|| Metrics::p_values(&before, &after)),
        per_query: if args.verbose { reports } else { Vec::new() },
    }
}

fn print_text(report: &Report) -> Result<(), Failure> {
    let gain = report.gain.formula();
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
    let after = report.after.zip(report.p_value);
    let headings = ["measure", ">before", ">after", ">change", ">p"];
    let mut table = Table::new(&headings[..if after.is_some() { 5 } else { 2 }]);
    for (i, (name, before)) in report.before.named().into_iter().enumerate() {
        let mut row = vec![name.to_owned(), format!("{before:.4}")];
        if let Some((after, p)) = after.map(|(m, p)| (m.named()[i].1, p.named()[i].1)) {
            let change = format!("{:+.4}", after - before);
            row.extend([format!("{after:.4}"), change, format!("{p:.4}")]);
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
