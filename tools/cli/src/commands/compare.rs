//! `lanerank compare`: the differences between two model files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use lanerank::{Model, Ranker, Tokenizer, Verify};
use serde::Serialize;

use super::arguments::collection::CollectionArgs;
use super::arguments::model::{LimitArgs, map, resolve};
use super::eval::measure;
use super::inspect::has_int8_matrices;
use crate::failure::{Failure, Place};
use crate::output;
use crate::table::Table;
use crate::trec::run::{Candidate, sort};
use crate::trec::significance::kendall_tau;
use crate::trec::{Collection, Metrics};

/// Number of pairs whose activations are compared.
const PAIRS: usize = 32;

/// Compare two models on a test collection: order, logits, nDCG, activations of each layer, size
/// and speed. A is the reference (the f32 file, for instance), B the model under test
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The reference: a model file or a name, as for --model
    #[arg(value_name = "A.lane")]
    a: PathBuf,

    /// The model to compare with it
    #[arg(value_name = "B.lane")]
    b: PathBuf,

    #[command(flatten)]
    collection: CollectionArgs,

    #[command(flatten)]
    limits: LimitArgs,

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
    /// Mean over queries of Kendall's tau-b between the two models' logits.
    mean_tau: Option<f64>,
    min_tau: Option<f64>,
    max_logit_difference: f32,
    mean_logit_difference: f64,
    /// By Fisher's randomisation test on the difference of each measure.
    p_value: Metrics,
    /// Signal-to-noise ratio of B's layer outputs against A's, in decibels. `None` if the models'
    /// shapes or tokenizers differ.
    layers_snr_db: Option<Vec<Option<f64>>>,
}

#[derive(Serialize)]
struct ModelReport {
    file: String,
    bytes: u64,
    /// Bits of the activations of int8 products. `None` if the file has no such product.
    activations: Option<String>,
    metrics: Metrics,
    median_ms_per_query: Option<f64>,
    passages_per_second: f64,
}

/// One of the two models and its results so far.
struct Side {
    path: PathBuf,
    ranker: Ranker,
    metrics: Vec<Metrics>,
    times: Vec<Duration>,
}

impl Side {
    fn open(args: &CompareArgs, model: &Path) -> Result<Side, Failure> {
        let path = resolve(model)?;
        let builder = Ranker::builder().opened(map(&path, Verify::All)?);
        Ok(Side {
            path,
            ranker: args.limits.apply(builder).build()?,
            metrics: Vec::new(),
            times: Vec::new(),
        })
    }

    /// Logits of a query's candidates, in their order.
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
            activations: has_int8_matrices(self.ranker.model())
                .then(|| self.ranker.model().activations().to_string()),
            metrics: Metrics::mean(&self.metrics),
            median_ms_per_query: median_ms(&self.times),
            passages_per_second: passages as f64 / seconds.max(f64::MIN_POSITIVE),
        })
    }
}

/// Differences between the logits.
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
        // Take turns, so that neither model always finds the texts in the cache.
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
    if args.json {
        output::print(|out| output::write_json(out, &report))
    } else {
        print_text(&report)
    }
}

/// The median in milliseconds; `None` if there are no times.
fn median_ms(times: &[Duration]) -> Option<f64> {
    let mut ms: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    let last = ms.len().checked_sub(1)?;
    Some((ms[last / 2] + ms[last.div_ceil(2)]) / 2.0)
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

/// Signal-to-noise ratio of each layer in decibels, over the first candidates of the first queries.
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
    // Without noise there is no ratio.
    let snr = |(signal, noise): (f64, f64)| (noise > 0.0).then(|| 10.0 * (signal / noise).log10());
    Some(sums.into_iter().map(snr).collect())
}

/// Whether layer outputs are comparable: equal shapes and token ids.
fn are_comparable(a: &Model, b: &Model) -> bool {
    let (x, y) = (a.config(), b.config());
    x.hidden_size == y.hidden_size
        && x.num_hidden_layers == y.num_hidden_layers
        && x.head == y.head
        && x.max_length == y.max_length
        && have_same_ids(a.tokenizer(), b.tokenizer())
}

fn have_same_ids(a: &Tokenizer, b: &Tokenizer) -> bool {
    let same_prompts = a.prompts() == b.prompts();
    let (a, b) = (a.sections(), b.sections());
    same_prompts
        && a.config[..] == b.config[..]
        && a.text[..] == b.text[..]
        && a.offsets[..] == b.offsets[..]
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
    both("activations", &|m| {
        m.activations.clone().unwrap_or("-".into())
    });
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
