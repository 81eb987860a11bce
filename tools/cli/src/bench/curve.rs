//! How the time of a passage grows with its tokens, or with the model's layers.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use lanerank::kernels::Kernels;
use lanerank::model::{ModelConfig, Precision};
use lanerank::{Model, Ranker};
use lanerank_convert::convert::{ActivationChoice, ConvertOptions};
use plotters::prelude::*;
use serde::Serialize;

use super::plot::{self, Area, COLOURS, Drawn, FONT};
use super::random_model;
use super::stopwatch::fastest;
use crate::failure::Failure;
use crate::output;
use crate::table::Table;

const BUDGET: Duration = Duration::from_millis(200);
/// Passages of a request.
const PASSAGES: usize = 8;
/// Tokens of a pair where layers are varied.
const TOKENS: usize = 128;
const LENGTHS: [usize; 11] = [16, 32, 48, 64, 96, 128, 192, 256, 320, 384, 512];
const LAYERS: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];
/// Any word: what it is does not matter.
const WORD: &str = "the ";

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Tokens of query and passage together, up to what the model takes
    Tokens,
    /// Layers of the model's shape, from 1 to 12, in int8 (activations too) with random weights
    Layers,
}

/// A curve for each tier.
#[derive(Debug, Serialize)]
pub struct CurveReport {
    /// The model.
    pub model: String,
    /// What is varied.
    pub curve: Axis,
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Layers, where they are not what is varied.
    pub layers: Option<usize>,
    /// Tokens, where they are not what is varied.
    pub tokens: Option<usize>,
    /// Threads a request may use; none for all.
    pub threads: Option<usize>,
    /// Tier by tier.
    pub points: Vec<CurvePoint>,
}

/// A point of a curve.
#[derive(Debug, Serialize)]
pub struct CurvePoint {
    /// The tier.
    pub kernels: String,
    /// Tokens or layers.
    pub x: usize,
    /// Milliseconds a passage, of a request of eight, the fastest of many.
    pub ms_per_passage: f64,
}

/// Measures.
///
/// # Errors
/// When the model cannot be run as asked for.
pub fn measure(
    name: String,
    model: &Model,
    axis: Axis,
    threads: Option<usize>,
    tiers: &[&'static Kernels],
) -> Result<CurveReport, Failure> {
    let config = model.config();
    let longest = config.max_position_embeddings;
    let tokens = TOKENS.min(longest);
    let variants: Vec<(usize, usize, Model)> = match axis {
        Axis::Tokens => {
            let lengths = LENGTHS.into_iter().filter(|&length| length <= longest);
            lengths
                .map(|length| (length, length, model.clone()))
                .collect()
        }
        Axis::Layers => LAYERS
            .into_iter()
            .map(|layers| Ok((layers, tokens, with_layers(model, layers)?)))
            .collect::<Result<_, lanerank_convert::Error>>()?,
    };
    let bar = output::progress((variants.len() * tiers.len()) as u64, "points");
    let mut points = Vec::new();
    for tier in tiers {
        for (x, tokens, model) in &variants {
            points.push(CurvePoint {
                kernels: tier.isa().to_string(),
                x: *x,
                ms_per_passage: ms_per_passage(model, *tokens, threads, tier)?,
            });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(CurveReport {
        model: name,
        curve: axis,
        hidden_size: config.hidden_size,
        layers: (axis == Axis::Tokens).then_some(config.num_hidden_layers),
        tokens: (axis == Axis::Layers).then_some(tokens),
        threads,
        points,
    })
}

fn with_layers(model: &Model, layers: usize) -> Result<Model, lanerank_convert::Error> {
    let config = ModelConfig {
        num_hidden_layers: layers,
        ..model.config().clone()
    };
    let options = ConvertOptions {
        // By default deep models get 16 bits, which would be a step in the curve.
        activations: ActivationChoice {
            all: Some(Precision::Eight),
            exceptions: Vec::new(),
        },
        ..ConvertOptions::default()
    };
    random_model::make(&config, model.tokenizer(), &options)
}

fn ms_per_passage(
    model: &Model,
    tokens: usize,
    threads: Option<usize>,
    tier: &Kernels,
) -> Result<f64, Failure> {
    let mut builder = Ranker::builder()
        .opened(model.clone())
        .max_length(tokens)
        .isa(tier.isa());
    if let Some(threads) = threads {
        builder = builder.threads(threads);
    }
    let ranker = builder.build()?;
    // A word is at least a token, so that truncation leaves exactly as many as asked for.
    let passages = vec![WORD.repeat(tokens); PASSAGES];
    let query = WORD.repeat(8);
    let hits = ranker.rerank(&query, &passages)?;
    debug_assert!(hits.iter().all(|hit| hit.truncation.passage_tokens > 0));
    let seconds = fastest(BUDGET, || {
        // It has just worked, and does the same again.
        let _ = std::hint::black_box(ranker.rerank(&query, &passages));
    });
    Ok(1e3 * seconds / PASSAGES as f64)
}

impl CurveReport {
    fn title(&self) -> String {
        let threads = match self.threads {
            Some(1) => "one thread".into(),
            Some(n) => format!("{n} threads"),
            None => "all threads".into(),
        };
        let fixed = match (self.layers, self.tokens) {
            (Some(layers), _) => format!("{layers} layers"),
            (_, Some(tokens)) => format!("{tokens} tokens"),
            _ => String::new(),
        };
        format!("width {}, {fixed}, {threads}", self.hidden_size)
    }

    fn axis(&self) -> &'static str {
        match self.curve {
            Axis::Tokens => "tokens",
            Axis::Layers => "layers",
        }
    }

    /// Tiers in order.
    fn tiers(&self) -> Vec<&str> {
        let mut tiers: Vec<&str> = self.points.iter().map(|p| p.kernels.as_str()).collect();
        tiers.dedup();
        tiers
    }

    fn line(&self, tier: &str) -> Vec<(f64, f64)> {
        let points = self.points.iter().filter(|p| p.kernels == tier);
        points.map(|p| (p.x as f64, p.ms_per_passage)).collect()
    }

    /// Writes a table.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}: {}", output::flat(&self.model), self.title())?;
        let mut table = Table::new(&["tier", ">at", "", ">ms a passage", ">us for each"]);
        for point in &self.points {
            table.row([
                point.kernels.clone(),
                point.x.to_string(),
                self.axis().to_owned(),
                format!("{:.4}", point.ms_per_passage),
                format!("{:.2}", 1e3 * point.ms_per_passage / point.x as f64),
            ]);
        }
        table.write(out, output::terminal_width())
    }

    /// Draws the curves.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn plot(&self, path: &Path) -> Result<(), Failure> {
        plot::write_svg(path, 1, |areas| match areas {
            [area, ..] => self.draw(area),
            [] => Ok(()),
        })
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        let highest = |f: fn(&CurvePoint) -> f64| self.points.iter().map(f).fold(0.0, f64::max);
        let (x, y) = (highest(|p| p.x as f64), highest(|p| p.ms_per_passage));
        let mut chart = ChartBuilder::on(area)
            .caption(self.title(), (FONT, 18))
            .margin(14)
            .x_label_area_size(42)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..1.03 * x, 0.0..1.05 * y)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(self.axis())
            .y_desc("milliseconds a passage")
            .label_style((FONT, 13))
            .draw()?;
        for (tier, colour) in self.tiers().into_iter().zip(COLOURS) {
            let line = self.line(tier);
            chart.draw_series(line.iter().map(|&at| Circle::new(at, 3, colour.filled())))?;
            chart
                .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                .label(tier)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
        }
        plot::legend(&mut chart, SeriesLabelPosition::UpperLeft)
    }
}
