//! The time of a passage against its tokens, or against the model's layers.

use std::time::Duration;

use lanerank::kernels::Kernels;
use lanerank::model::{ModelConfig, Precision};
use lanerank::{Model, Ranker};
use lanerank_convert::convert::{ActivationChoice, ConvertOptions};
use serde::Serialize;

use crate::error::BenchError;
use crate::stopwatch::fastest;
use crate::{Progress, random_model};

const BUDGET: Duration = Duration::from_millis(200);
/// Passages of a request.
const PASSAGES: usize = 8;
/// Tokens of a pair while layers vary.
const TOKENS: usize = 128;
const LENGTHS: [usize; 11] = [16, 32, 48, 64, 96, 128, 192, 256, 320, 384, 512];
const LAYERS: [usize; 7] = [1, 2, 3, 4, 6, 8, 12];
/// Any word.
const WORD: &str = "the ";

/// The x axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Tokens of query and passage together, up to the model's maximum.
    Tokens,
    /// 1 to 12 layers of the model's shape, with random int8 weights and 8-bit activations.
    Layers,
}

impl Axis {
    /// `tokens` or `layers`.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Tokens => "tokens",
            Axis::Layers => "layers",
        }
    }
}

/// One curve per tier.
#[derive(Debug, Serialize)]
pub struct CurveReport {
    /// The model.
    pub model: String,
    /// The x axis.
    pub curve: Axis,
    /// Width of a token's vector.
    pub hidden_size: usize,
    /// Layers, unless they vary.
    pub layers: Option<usize>,
    /// Tokens, unless they vary.
    pub tokens: Option<usize>,
    /// Threads per request; `None` for all.
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
    /// Milliseconds per passage of a request of eight, the fastest of many.
    pub ms_per_passage: f64,
}

/// Measures a curve on each of `tiers`.
///
/// # Errors
/// When the model cannot be run with these settings.
pub fn measure(
    name: String,
    model: &Model,
    axis: Axis,
    threads: Option<usize>,
    tiers: &[&'static Kernels],
    progress: Progress<'_>,
) -> Result<CurveReport, BenchError> {
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
    let total = variants.len() * tiers.len();
    progress(0, total);
    let mut points = Vec::new();
    for tier in tiers {
        for (x, tokens, model) in &variants {
            points.push(CurvePoint {
                kernels: tier.isa().to_string(),
                x: *x,
                ms_per_passage: ms_per_passage(model, *tokens, threads, tier)?,
            });
            progress(points.len(), total);
        }
    }
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
        // The default gives deep models 16 bits, which would put a step into the curve.
        activations: ActivationChoice {
            all: Some(Precision::Eight),
            exceptions: Vec::new(),
        },
        ..ConvertOptions::default()
    };
    random_model::model(&config, model.tokenizer(), &options)
}

fn ms_per_passage(
    model: &Model,
    tokens: usize,
    threads: Option<usize>,
    tier: &Kernels,
) -> Result<f64, lanerank::Error> {
    let mut builder = Ranker::builder()
        .opened(model.clone())
        .max_length(tokens)
        .isa(tier.isa());
    if let Some(threads) = threads {
        builder = builder.threads(threads);
    }
    let ranker = builder.build()?;
    // A word has at least one token, so truncation leaves exactly `tokens`.
    let passages = vec![WORD.repeat(tokens); PASSAGES];
    let query = WORD.repeat(8);
    let hits = ranker.rerank(&query, &passages)?;
    debug_assert!(hits.iter().all(|hit| hit.truncation.passage_tokens > 0));
    let seconds = fastest(BUDGET, || {
        // The same call has just succeeded.
        let _ = std::hint::black_box(ranker.rerank(&query, &passages));
    });
    Ok(1e3 * seconds / PASSAGES as f64)
}

impl CurveReport {
    /// Shape, constants and threads.
    pub fn title(&self) -> String {
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

    /// Tiers in order.
    pub(crate) fn tiers(&self) -> Vec<&str> {
        let mut tiers: Vec<&str> = self.points.iter().map(|p| p.kernels.as_str()).collect();
        tiers.dedup();
        tiers
    }

    /// The points of a tier.
    pub(crate) fn line(&self, tier: &str) -> Vec<(f64, f64)> {
        let points = self.points.iter().filter(|p| p.kernels == tier);
        points.map(|p| (p.x as f64, p.ms_per_passage)).collect()
    }
}
