//! `lanerank compare`: what one model file does differently from another.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use lanerank::{Model, Ranker, Tokenizer, Verify};
use serde::Serialize;

use super::collection::CollectionArgs;
use super::eval::measure;
use super::model::map;
use super::models;
use crate::bench::statistics::Summary;
use crate::eval::run::{Candidate, sort};
use crate::eval::significance::kendall_tau;
use crate::eval::{Collection, Metrics};
use crate::failure::{Failure, Place};
use crate::output;
use crate::table::Table;

/// Pairs of query and passage whose activations are compared.
const PAIRS: usize = 32;

/// Compare two models on a test collection: order, logits, nDCG, activations layer by layer, size and
/// speed. A is the reference, for instance the f32 file, B what is judged
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The reference: a model file or a name, as --model elsewhere
    #[arg(value_name = "A.lane")]
    a: PathBuf,

    /// What is compared with it
    #[arg(value_name = "B.lane")]
    b: PathBuf,

    #[command(flatten)]
    collection: CollectionArgs,

    /// Longest query and passage together, in tokens [default: each model's]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,

    /// Threads a request may use [default: as many as this process may]
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,

    /// Write a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    dataset: String,
    queries: usize,
    averaged_over: &'static str,
    depth: usize,
    a: ModelReport,
    b: ModelReport,
    /// Mean over the queries of Kendall's tau-b between the two models' logits.
    mean_tau: Option<f64>,
    min_tau: Option<f64>,
    max_logit_difference: f32,
    mean_logit_difference: f64,
    /// Of each measure's difference, by Fisher's randomisation test.
    p_value: Metrics,
    /// Signal-to-noise of each layer's output, in decibels: B's against A's. None where the two
    /// models' shapes or tokenizers differ.
    layers_snr_db: Option<Vec<Option<f64>>>,
}

#[derive(Serialize)]
struct ModelReport {
    file: String,
    bytes: u64,
    metrics: Metrics,
    median_ms_per_query: Option<f64>,
    passages_per_second: f64,
}

/// One of the two models and what it did so far.
struct Side {
    path: PathBuf,
    ranker: Ranker,
    metrics: Vec<Metrics>,
    times: Vec<Duration>,
}

impl Side {
    fn open(args: &CompareArgs, model: &Path) -> Result<Side, Failure> {
        let path = models::resolve(model)?;
        let mut builder = Ranker::builder().opened(map(&path, Verify::All)?);
        if let Some(tokens) = args.max_length {
            builder = builder.max_length(tokens);
        }
        if let Some(count) = args.threads {
            builder = builder.threads(count);
        }
        Ok(Side {
            path,
            ranker: builder.build()?,
            metrics: Vec::new(),
            times: Vec::new(),
        })
    }

    /// The logits of a query's candidates, in their order.
    fn logits(&mut self, query: &str, texts: &[&str]) -> Result<Vec<f32>, Failure> {
        let start = Instant::now();
        let hits = self.ranker.rerank(query, texts)?;
        self.times.push(start.elapsed());
        let mut logits = vec![0.0; texts.len()];
        for hit in hits {
            logits[hit.index] = hit.logit;
        }
        Ok(logits)
    }

    fn report(&self, passages: usize) -> Result<ModelReport, Failure> {
        let place = Place::file(&self.path);
        let file = std::fs::metadata(&self.path).map_err(|e| Failure::input(&place, e))?;
        let seconds: f64 = self.times.iter().map(Duration::as_secs_f64).sum();
        Ok(ModelReport {
            file: self.path.display().to_string(),
            bytes: file.len(),
            metrics: Metrics::mean(&self.metrics),
            median_ms_per_query: Summary::of(&self.times).map(|summary| summary.median),
            passages_per_second: passages as f64 / seconds.max(f64::MIN_POSITIVE),
        })
    }
}

/// How far the logits are apart.
#[derive(Default)]
struct Differences {
    taus: Vec<f64>,
    max: f32,
    sum: f64,
    count: usize,
}

impl Differences {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        self.taus.extend(kendall_tau(a, b));
        for (a, b) in a.iter().zip(b) {
            self.max = self.max.max((a - b).abs());
            self.sum += f64::from((a - b).abs());
        }
        self.count += a.len();
    }
}

/// Runs the command.
///
/// # Errors
/// When the collection or a model is wrong, or the answer cannot be written.
pub fn run(args: &CompareArgs) -> Result<(), Failure> {
    let mut sides = [Side::open(args, &args.a)?, Side::open(args, &args.b)?];
    let collection = args.collection.open()?;
    let mut differences = Differences::default();
    let bar = output::progress(collection.queries.len() as u64, "queries");
    for (turn, (id, query)) in collection.queries.iter().enumerate() {
        let candidates = collection.run.top(id, args.collection.depth);
        let texts: Vec<&str> = candidates
            .iter()
            .map(|c| collection.text(&c.document))
            .collect();
        let mut logits = [Vec::new(), Vec::new()];
        // Taking turns, so that neither always finds the texts in the cache.
        for i in [turn % 2, 1 - turn % 2] {
            logits[i] = sides[i].logits(query, &texts)?;
            let list = ranking(candidates, &logits[i]);
            let metrics = measure(&collection, id, &list, args.collection.gain());
            sides[i].metrics.push(metrics);
        }
        differences.add(&logits[0], &logits[1]);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let report = report(args, &collection, &sides, &differences)?;
    match args.json {
        true => output::print(|out| output::write_json(out, &report)),
        false => print_text(&report),
    }
}

fn ranking(candidates: &[Candidate], logits: &[f32]) -> Vec<Candidate> {
    let rescored = candidates.iter().zip(logits).map(|(c, &logit)| Candidate {
        document: c.document.clone(),
        score: logit + 0.0,
    });
    let mut ranking: Vec<Candidate> = rescored.collect();
    sort(&mut ranking);
    ranking
}

fn report(
    args: &CompareArgs,
    collection: &Collection,
    [a, b]: &[Side; 2],
    differences: &Differences,
) -> Result<Report, Failure> {
    let taus = &differences.taus;
    let mean = taus.iter().sum::<f64>() / taus.len().max(1) as f64;
    Ok(Report {
        dataset: args.collection.dataset.display().to_string(),
        queries: collection.queries.len(),
        averaged_over: args.collection.averaged_over(),
        depth: args.collection.depth,
        a: a.report(differences.count)?,
        b: b.report(differences.count)?,
        mean_tau: (!taus.is_empty()).then_some(mean),
        min_tau: taus.iter().copied().min_by(f64::total_cmp),
        max_logit_difference: differences.max,
        mean_logit_difference: differences.sum / differences.count.max(1) as f64,
        p_value: Metrics::p_values(&a.metrics, &b.metrics),
        layers_snr_db: layers_snr(&a.ranker, &b.ranker, collection),
    })
}

/// Signal-to-noise of each layer in decibels, over the first candidates of the first queries.
fn layers_snr(a: &Ranker, b: &Ranker, collection: &Collection) -> Option<Vec<Option<f64>>> {
    if !are_comparable(a.model(), b.model()) {
        return None;
    }
    let mut sums = vec![(0.0, 0.0); a.model().config().num_hidden_layers];
    for (id, query) in collection.queries.iter().take(PAIRS) {
        let Some(first) = collection.run.top(id, 1).first() else {
            continue;
        };
        let passage = collection.text(&first.document);
        let outputs = |ranker: &Ranker| {
            ranker
                .model()
                .layer_outputs(ranker.kernels(), query, passage)
        };
        for ((signal, noise), (a, b)) in sums.iter_mut().zip(outputs(a).iter().zip(&outputs(b))) {
            for (&a, &b) in a.iter().zip(b) {
                *signal += f64::from(a).powi(2);
                *noise += f64::from(a - b).powi(2);
            }
        }
    }
    // No noise has no decibels.
    let snr = |(signal, noise): (f64, f64)| (noise > 0.0).then(|| 10.0 * (signal / noise).log10());
    Some(sums.into_iter().map(snr).collect())
}

/// Whether the layers of two models put out the same things: other shapes or token ids do not.
fn are_comparable(a: &Model, b: &Model) -> bool {
    let (x, y) = (a.config(), b.config());
    x.hidden_size == y.hidden_size
        && x.num_hidden_layers == y.num_hidden_layers
        && x.head == y.head
        && x.max_length == y.max_length
        && have_same_ids(a.tokenizer(), b.tokenizer())
}

fn have_same_ids(a: &Tokenizer, b: &Tokenizer) -> bool {
    let (a, b) = (a.sections(), b.sections());
    a.config[..] == b.config[..] && a.text[..] == b.text[..] && a.offsets[..] == b.offsets[..]
}

fn print_text(report: &Report) -> Result<(), Failure> {
    let heading = format!(
        "{}: {} queries ({}), first {} candidates",
        report.dataset, report.queries, report.averaged_over, report.depth
    );
    let measures = measure_table(report);
    let figures = figure_table(report);
    output::print(|out| {
        let width = output::terminal_width();
        writeln!(out, "A {}", output::flat(&report.a.file))?;
        writeln!(out, "B {}", output::flat(&report.b.file))?;
        writeln!(out, "{}\n", output::flat(&heading))?;
        measures.write(out, width)?;
        writeln!(out)?;
        figures.write(out, width)?;
        match &report.layers_snr_db {
            None => writeln!(
                out,
                "\nactivations are not compared: the models' shapes or tokenizers differ"
            ),
            Some(layers) => {
                writeln!(out)?;
                layer_table(layers).write(out, width)
            }
        }
    })
}

fn measure_table(report: &Report) -> Table {
    let mut table = Table::new(&["measure", ">A", ">B", ">B - A", ">p"]);
    let (a, b) = (report.a.metrics.named(), report.b.metrics.named());
    for (((name, a), (_, b)), (_, p)) in a.into_iter().zip(b).zip(report.p_value.named()) {
        table.row([
            name.to_owned(),
            format!("{a:.4}"),
            format!("{b:.4}"),
            format!("{:+.4}", b - a),
            format!("{p:.4}"),
        ]);
    }
    table
}

fn figure_table(report: &Report) -> Table {
    let optional =
        |value: Option<f64>, digits| value.map_or("-".into(), |v| format!("{v:.digits$}"));
    let mut table = Table::new(&["figure", ">A", ">B"]);
    let mut both = |name: &str, value: &dyn Fn(&ModelReport) -> String| {
        table.row([name.to_owned(), value(&report.a), value(&report.b)]);
    };
    both("bytes", &|m| m.bytes.to_string());
    both("median ms a query", &|m| optional(m.median_ms_per_query, 2));
    both("passages a second", &|m| {
        format!("{:.0}", m.passages_per_second)
    });
    let mut between = |name: &str, value: String| {
        table.row([name.to_owned(), "-".into(), value]);
    };
    between(
        "Kendall tau, mean over queries",
        optional(report.mean_tau, 4),
    );
    between("Kendall tau, lowest", optional(report.min_tau, 4));
    between(
        "largest logit difference",
        format!("{:.2e}", report.max_logit_difference),
    );
    between(
        "mean logit difference",
        format!("{:.2e}", report.mean_logit_difference),
    );
    table
}

fn layer_table(layers: &[Option<f64>]) -> Table {
    let mut table = Table::new(&[">layer", ">signal to noise, dB"]);
    for (i, snr) in layers.iter().enumerate() {
        let shown = snr.map_or("no noise".into(), |db| format!("{db:.1}"));
        table.row([i.to_string(), shown]);
    }
    table
}
