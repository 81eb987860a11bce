//! `lanerank rerank`: passages, best first.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use lanerank::{Hit, RerankOptions};
use serde::Serialize;
use serde_json::value::RawValue;

use super::arguments::fusion::FusionArgs;
use super::arguments::model::RankerArgs;
use super::estimate;
use super::explain::{self, Piece};
use crate::candidates::Candidates;
use crate::failure::Failure;
use crate::output;
use crate::passages::InputFormat;
use crate::table::{Table, bar};

/// Columns of a score bar.
const BAR: usize = 10;

/// Rank passages for a query
#[derive(Debug, Args)]
pub struct RerankArgs {
    /// The query; optional if the input is a request object
    #[arg(long, short)]
    query: Option<String>,

    /// Passages: lines, JSON lines, a JSON array or a request object [default: standard input].
    /// Those of several files are ranked together
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    ranker: RankerArgs,

    /// Show only the first N
    #[arg(long, value_name = "N")]
    top: Option<usize>,

    /// Form of the input
    #[arg(long, value_enum, default_value_t = InputFormat::Auto)]
    format: InputFormat,

    #[command(flatten)]
    fusion: FusionArgs,

    /// Start no further passage after this time; the rest come last, without a score
    #[arg(long, value_name = "MS")]
    deadline: Option<u64>,

    /// Show how many tokens of query and passage were truncated
    #[arg(long)]
    explain_truncation: bool,

    /// Show how much each word adds to the score of its passage: the logit minus the logit without
    /// the word. Scores every shown passage once per word
    #[arg(long)]
    explain: bool,

    /// Do not rank; count tokens and predict the time from a few of the passages
    #[arg(long, conflicts_with_all = ["explain", "explain_truncation", "deadline", "top"])]
    estimate: bool,

    /// Write JSON: an array of passages, or the estimate
    #[arg(long)]
    json: bool,

    /// Write JSON lines: an object for each passage, best first. They are input, too: `lanerank
    /// rerank` and `lanerank embed` read them from a pipe
    #[arg(long, conflicts_with_all = ["json", "estimate"])]
    jsonl: bool,
}

/// A passage in the answer.
#[derive(Serialize)]
struct Ranked<'a> {
    index: usize,
    /// The passage's file, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    id: Option<&'a RawValue>,
    text: &'a str,
    meta: Option<&'a RawValue>,
    /// `None` if the deadline came first, like the other figures.
    score: Option<f32>,
    logit: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fused: Option<f32>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncation: Option<Cut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<Piece<'a>>>,
}

#[derive(Serialize)]
struct Cut {
    query_tokens: usize,
    passage_tokens: usize,
}

impl<'a> Ranked<'a> {
    fn unscored(index: usize, read: &'a Candidates) -> Self {
        let passage = &read.passages[index];
        Ranked {
            index,
            file: read.file_of(index),
            id: passage.id.as_deref(),
            text: &passage.text,
            meta: passage.meta.as_deref(),
            score: None,
            logit: None,
            fused: None,
            truncated: false,
            truncation: None,
            explanation: None,
        }
    }

    fn scored(hit: &Hit, read: &'a Candidates, explain: bool) -> Self {
        let cut = Cut {
            query_tokens: hit.truncation.query_tokens,
            passage_tokens: hit.truncation.passage_tokens,
        };
        Ranked {
            score: Some(hit.score),
            logit: Some(hit.logit),
            fused: hit.fused,
            truncated: cut.query_tokens + cut.passage_tokens > 0,
            truncation: explain.then_some(cut),
            ..Ranked::unscored(hit.index, read)
        }
    }

    /// The id for display: a string without its quotes.
    fn shown_id(&self) -> String {
        let Some(id) = self.id else {
            return String::new();
        };
        serde_json::from_str(id.get()).unwrap_or_else(|_| id.get().to_owned())
    }
}

/// Runs the command.
///
/// # Errors
/// When arguments, model or passages are wrong, or the answer cannot be written.
pub fn run(args: &RerankArgs) -> Result<(), Failure> {
    let fusion = args.fusion.fusion()?;
    let ranker = args.ranker.ranker()?;
    let read = Candidates::read(&args.files, args.format)?;
    let query = args.query.as_deref().map_or_else(|| read.query(), Ok)?;
    let passages = &read.passages;
    if passages.is_empty() {
        let places = read.places();
        output::notice(format!(
            "{places}: no passages, so there is nothing to rank"
        ));
    } else if query.trim().is_empty() {
        output::notice("the query is empty: the scores say nothing about relevance");
    }
    let first_stage = match fusion {
        Some(_) => Some(read.first_stage()?),
        None => None,
    };
    let defaults = RerankOptions::default();
    let options = RerankOptions {
        top_k: args.top,
        deadline: deadline(args.deadline),
        first_stage: first_stage.as_deref(),
        fusion: fusion.unwrap_or(defaults.fusion),
        ..defaults
    };
    let texts: Vec<&str> = passages.iter().map(|p| p.text.as_str()).collect();
    if args.estimate {
        return estimate::run(&ranker, query, &texts, args.json);
    }
    let ranking = ranker.rerank_with(query, &texts, &options)?;
    if !ranking.unscored.is_empty() {
        let (left, all) = (ranking.unscored.len(), passages.len());
        output::notice(format!(
            "{left} of {all} passages not scored before the deadline"
        ));
    }
    let scored = ranking
        .hits
        .iter()
        .map(|hit| Ranked::scored(hit, &read, args.explain_truncation));
    let unscored = ranking.unscored.iter().map(|&i| Ranked::unscored(i, &read));
    let top = args.top.unwrap_or(usize::MAX);
    let mut ranked: Vec<Ranked> = scored.chain(unscored).take(top).collect();
    if args.explain {
        for passage in ranked.iter_mut().filter(|passage| passage.score.is_some()) {
            let explanation = ranker.explain(query, passage.text, &options)?;
            passage.explanation = Some(explain::pieces(passage.text, &explanation));
        }
    }
    if args.json {
        return output::print(|out| output::write_json(out, &ranked));
    }
    if args.jsonl {
        return output::print(|out| {
            let mut lines = ranked.iter();
            lines.try_for_each(|passage| output::write_json_line(out, passage))
        });
    }
    print_table(&ranked, args.explain_truncation, ranker.max_length())?;
    let explained = (1..)
        .zip(&ranked)
        .filter_map(|(rank, passage)| Some((rank, passage.explanation.as_deref()?)));
    output::print(|out| explain::write(out, explained))
}

/// The moment `ms` from now; `None` if it is beyond the clock's range.
fn deadline(ms: Option<u64>) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_millis(ms?))
}

fn print_table(ranked: &[Ranked], explain: bool, max_length: usize) -> Result<(), Failure> {
    let cut = ranked.iter().filter(|r| r.truncated).count();
    if cut > 0 && !explain {
        output::notice(format!(
            "truncated {cut} of the passages shown to {max_length} tokens; \
             --explain-truncation says by how much"
        ));
    }
    let width = output::terminal_width();
    let with_file = ranked.iter().any(|r| r.file.is_some());
    let with_id = ranked.iter().any(|r| r.id.is_some());
    let with_fused = ranked.iter().any(|r| r.fused.is_some());
    let mut headings = vec![">rank", ">score"];
    let optional = [
        (with_fused, ">blend"),
        (width.is_some(), ""),
        (with_file, "file"),
        (with_id, "id"),
        (explain, "cut (query+passage)"),
    ];
    headings.extend(optional.iter().filter(|(on, _)| *on).map(|(_, name)| *name));
    headings.push("text");
    let mut table = Table::new(&headings);
    for (rank, r) in (1..).zip(ranked) {
        let number = |value: Option<f32>| value.map_or("-".into(), |v| format!("{v:.4}"));
        let cells = [
            (true, format!("{rank}")),
            (true, number(r.score)),
            (with_fused, number(r.fused)),
            (width.is_some(), bar(r.score.unwrap_or(0.0), BAR)),
            (with_file, r.file.unwrap_or_default().to_owned()),
            (with_id, r.shown_id()),
            (explain, shown_cut(r.truncation.as_ref())),
            (true, r.text.to_owned()),
        ];
        table.row(
            cells
                .into_iter()
                .filter(|(on, _)| *on)
                .map(|(_, cell)| cell),
        );
    }
    output::print(|out| table.write(out, width))
}

fn shown_cut(cut: Option<&Cut>) -> String {
    match cut {
        Some(cut) if cut.query_tokens + cut.passage_tokens > 0 => {
            format!("{}+{} tokens", cut.query_tokens, cut.passage_tokens)
        }
        _ => "-".into(),
    }
}
