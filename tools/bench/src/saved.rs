//! What each optimisation saves on a request: its time with and without it.
//!
//! Measured end to end where the library can be made to do the extra work: by longer texts, by
//! other heads (the texts of an encoder share no query, and a mean needs the whole last layer), by
//! other dtypes. Otherwise estimated from the kernels: time per call times the number of calls. The
//! weights are random, in the shape of the model.

use std::time::{Duration, Instant};

use lanerank::kernels::{Activation, Kernels};
use lanerank::model::{Head, Matrix, ModelConfig, Pooling, Precision};
use lanerank::{Encoder, Model, Ranker};
use lanerank_convert::Error;
use lanerank_convert::convert::{ActivationChoice, ConvertOptions, WeightDtype};
use serde::Serialize;

use crate::error::BenchError;
use crate::peaks::Peaks;
use crate::saved_kernels::{Calls, Sequences};
use crate::stopwatch::fastest;
use crate::workload::{Request, Workload};
use crate::{floor, random_model};

/// Rounds over the variants of a request: at most.
const TURNS: usize = 40;
/// Time after which no further round starts, once there have been three.
const BUDGET: Duration = Duration::from_secs(12);
/// Time per kernel.
const KERNEL_BUDGET: Duration = Duration::from_millis(150);

const END_TO_END: &str = "end to end";
const KERNELS: &str = "kernels";

/// A request's time, and what each optimisation saves of it.
#[derive(Debug, Serialize)]
pub struct SavedReport {
    /// The model whose shape is used.
    pub model: String,
    /// The tier.
    pub kernels: String,
    /// The request.
    pub request: String,
    /// Number of passages.
    pub passages: usize,
    /// Tokens of all pairs.
    pub tokens: usize,
    /// Tokens of the longest pair.
    pub longest: usize,
    /// Milliseconds of the fastest run.
    pub ms: f64,
    /// Milliseconds of its multiply-adds at the tier's measured peaks.
    pub floor_ms: Option<f64>,
    /// One row per optimisation.
    pub saved: Vec<SavedRow>,
}

/// An optimisation.
#[derive(Debug, Serialize)]
pub struct SavedRow {
    /// Its name.
    pub what: &'static str,
    /// `end to end`, or `kernels` if the times exclude the rest of the request.
    pub measured: &'static str,
    /// Milliseconds with it.
    pub ms: f64,
    /// Milliseconds without it.
    pub without_ms: f64,
}

/// One way to answer the request.
type Variant = Box<dyn Fn() -> Result<(), Error>>;

/// Measures the request with the most passages, on one thread.
///
/// # Errors
/// When no request has passages, or no cross-encoder can have the model's shape.
pub fn measure(
    name: String,
    model: &Model,
    workload: &Workload,
    tier: &'static Kernels,
) -> Result<SavedReport, BenchError> {
    let longest = workload
        .iter()
        .max_by_key(|(_, request)| request.passages.len());
    let Some((label, request)) = longest.filter(|(_, request)| !request.passages.is_empty()) else {
        return Err(BenchError::NoPassages);
    };
    let shape = Shape::new(model, request, tier);
    let times = take_turns(&shape.variants()?)?;
    let [ours, padded, apart, whole, a8, a16, f16, f32] = times;
    let row = |what, ms, without_ms| SavedRow {
        what,
        measured: END_TO_END,
        ms,
        without_ms,
    };
    let mut saved = vec![
        row("no padding to the longest pair", ours, padded),
        row("last layer for the first token only", apart, whole),
        row("the query's tokens once a request", ours, apart),
        row("8-bit activations, not 16", a8, a16),
        row("int8 file, not f16", ours, f16),
        row("int8 file, not f32", ours, f32),
    ];
    saved.extend(shape.kernels());
    let (config, lengths) = (&shape.config, &shape.lengths);
    let peaks = Peaks::measure(tier);
    Ok(SavedReport {
        model: name,
        kernels: tier.isa().to_string(),
        request: label.clone(),
        passages: request.passages.len(),
        tokens: lengths.iter().sum(),
        longest: shape.longest(),
        ms: ours,
        floor_ms: floor::ms(config, model.activations(), lengths, shape.prefix, &peaks),
        saved,
    })
}

/// Milliseconds of each variant's fastest run. The variants take turns, so a slow minute affects
/// all of them.
fn take_turns<const N: usize>(variants: &[Variant; N]) -> Result<[f64; N], Error> {
    let mut best = [f64::INFINITY; N];
    let start = Instant::now();
    for round in 0..=TURNS {
        for (variant, best) in variants.iter().zip(&mut best) {
            let begun = Instant::now();
            variant()?;
            let ms = begun.elapsed().as_secs_f64() * 1e3;
            // The first round warms up.
            if round > 0 {
                *best = best.min(ms);
            }
        }
        if round >= 3 && start.elapsed() > BUDGET {
            break;
        }
    }
    Ok(best)
}

/// A request on models of one shape.
struct Shape<'a> {
    model: &'a Model,
    config: ModelConfig,
    request: &'a Request,
    tier: &'static Kernels,
    /// Tokens of each pair.
    lengths: Vec<usize>,
    /// Tokens that all pairs share at their start.
    prefix: usize,
}

impl<'a> Shape<'a> {
    fn new(model: &'a Model, request: &'a Request, tier: &'static Kernels) -> Self {
        let config = ModelConfig {
            head: Head::Classifier { num_labels: 1 },
            ..model.config().clone()
        };
        let (tokenizer, longest) = (model.tokenizer(), config.max_length);
        let length = |passage: &String| {
            let pair = tokenizer.encode_pair(&request.query, passage, longest);
            pair.ids.len()
        };
        Shape {
            lengths: request.passages.iter().map(length).collect(),
            prefix: tokenizer.encode(&request.query, longest).ids.len(),
            model,
            config,
            request,
            tier,
        }
    }

    fn longest(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// The model's own choice.
    fn activations(&self) -> ActivationChoice {
        let chosen = self.model.activations();
        let sixteen = |&matrix: &Matrix| chosen.of(matrix) == Precision::Sixteen;
        let exceptions = Matrix::ALL.into_iter().filter(sixteen);
        ActivationChoice {
            all: Some(Precision::Eight),
            exceptions: exceptions
                .map(|matrix| (matrix.name().to_owned(), Precision::Sixteen))
                .collect(),
        }
    }

    fn variants(&self) -> Result<[Variant; 8], Error> {
        let options = |dtype, activations| ConvertOptions {
            dtype,
            activations,
            ..ConvertOptions::default()
        };
        let all = |bits| ActivationChoice {
            all: Some(bits),
            exceptions: Vec::new(),
        };
        let ours = options(WeightDtype::Int8, self.activations());
        let a8 = options(WeightDtype::Int8, all(Precision::Eight));
        let a16 = options(WeightDtype::Int8, all(Precision::Sixteen));
        let float = |dtype| options(dtype, ActivationChoice::default());
        let as_it_is = |options: &ConvertOptions| self.pairs(options, self.config.max_length, 0);
        Ok([
            as_it_is(&ours)?,
            self.pairs(&ours, self.longest(), self.longest())?,
            self.texts(&ours, Pooling::Cls)?,
            self.texts(&ours, Pooling::Mean)?,
            as_it_is(&a8)?,
            as_it_is(&a16)?,
            as_it_is(&float(WeightDtype::F16))?,
            as_it_is(&float(WeightDtype::F32))?,
        ])
    }

    /// The request with `words` appended to each passage. With enough of them, truncation leaves
    /// every pair `max_length` tokens.
    fn pairs(
        &self,
        options: &ConvertOptions,
        max_length: usize,
        words: usize,
    ) -> Result<Variant, Error> {
        let tokenizer = self.model.tokenizer();
        let ranker = Ranker::builder()
            .opened(random_model::model(&self.config, tokenizer, options)?)
            .max_length(max_length)
            .threads(1)
            .isa(self.tier.isa())
            .build()?;
        let longer = |passage: &String| format!("{passage}{}", " the".repeat(words));
        let passages: Vec<String> = self.request.passages.iter().map(longer).collect();
        let query = self.request.query.clone();
        Ok(Box::new(move || {
            std::hint::black_box(ranker.rerank(&query, &passages)?);
            Ok(())
        }))
    }

    /// The same tokens as single texts of a sentence encoder, which share no prefix.
    fn texts(&self, options: &ConvertOptions, pooling: Pooling) -> Result<Variant, Error> {
        let tokenizer = self.model.tokenizer();
        let config = ModelConfig {
            head: Head::Encoder {
                pooling,
                normalize: true,
            },
            ..self.config.clone()
        };
        let encoder = Encoder::builder()
            .opened(random_model::model(&config, tokenizer, options)?)
            .threads(1)
            .isa(self.tier.isa())
            .build()?;
        let separator = tokenizer.token(tokenizer.sep_id()).unwrap_or_default();
        let join = |passage: &String| format!("{} {separator} {passage}", self.request.query);
        let texts: Vec<String> = self.request.passages.iter().map(join).collect();
        Ok(Box::new(move || {
            std::hint::black_box(encoder.encode(&texts)?);
            Ok(())
        }))
    }

    /// Optimisations that the library cannot turn off: times of their kernels, times the number of
    /// calls.
    fn kernels(&self) -> Vec<SavedRow> {
        let layers = self.config.num_hidden_layers - 1;
        if layers == 0 {
            return Vec::new();
        }
        let sequences = Sequences {
            hidden: self.config.hidden_size,
            heads: self.config.num_attention_heads,
            inner: self.config.intermediate_size,
            lengths: self.lengths.clone(),
        };
        let time = |(mut run, calls): Calls| {
            1e3 * calls * layers as f64 * fastest(KERNEL_BUDGET, || run(self.tier))
        };
        let row = |what, ours, without| SavedRow {
            what,
            measured: KERNELS,
            ms: time(ours),
            without_ms: time(without),
        };
        let coarse = || sequences.intermediate(Activation::GeluCoarse, Activation::None);
        let apart = sequences.intermediate(Activation::None, Activation::GeluCoarse);
        let exact = sequences.intermediate(Activation::Gelu, Activation::None);
        let attention = |kind| sequences.attention(kind);
        vec![
            row("GELU in the product's epilogue", coarse(), apart),
            row("GELU only as exact as its rounding", coarse(), exact),
            row(
                "residual and layer norm in one pass",
                sequences.add_norm(),
                sequences.add_norm_apart(),
            ),
            row(
                "attention in integers",
                attention(Kernels::attention_i8),
                attention(Kernels::attention),
            ),
        ]
    }
}
