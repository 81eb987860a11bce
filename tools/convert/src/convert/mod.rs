//! Converts f32 tensors to a model file.
//!
//! This module reads no files: the caller gives it a [`TensorSource`], a [`ModelConfig`] and a
//! [`Tokenizer`]. It returns the file's bytes, the same ones for the same input on every machine.

mod activations;
mod integers;
mod matrix;
pub(crate) mod self_test;
mod smoothing;
mod tensors;
mod weights;

use std::fmt;
use std::str::FromStr;

use lanerank::format::directory::{self, Dtype, Layout};
use lanerank::format::header::Header;
use lanerank::format::self_test::{SelfTestRow, parse as parse_self_test};
use lanerank::format::storage::{AlignedBytes, Blob};
use lanerank::format::write::{Draft, Plan};
use lanerank::format::{config, metadata};
use lanerank::kernels::Kernels;
use lanerank::model::{Activations, ModelConfig};
use lanerank::tokenizer::Tokenizer;
use lanerank::{Model, Verify};

use crate::error::Error;
use crate::source::TensorSource;
use self_test::TEXTS;

pub use activations::ActivationChoice;

/// Type of the stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WeightDtype {
    /// 8-bit integers: one scale per output channel of a matrix, per row of a table.
    #[default]
    Int8,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
}

impl WeightDtype {
    fn dtype(self) -> Dtype {
        match self {
            WeightDtype::Int8 => Dtype::I8,
            WeightDtype::F16 => Dtype::F16,
            WeightDtype::F32 => Dtype::F32,
        }
    }
}

impl fmt::Display for WeightDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.dtype().fmt(f)
    }
}

impl FromStr for WeightDtype {
    type Err = Error;
    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "int8" => Ok(WeightDtype::Int8),
            "f16" => Ok(WeightDtype::F16),
            "f32" => Ok(WeightDtype::F32),
            _ => Err(Error::Argument(format!(
                "dtype {name:?}: lanerank has int8, f16 and f32"
            ))),
        }
    }
}

/// Another dtype for some weights: `pattern=dtype`. The pattern is one or more whole parts of a
/// weight's name, as `lanerank inspect` prints it: `classifier`, `layers.0`, `ffn.output`,
/// `embeddings.word`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Parts of the name.
    pub pattern: String,
    /// Dtype of the weights that match.
    pub dtype: WeightDtype,
}

impl Keep {
    fn fits(&self, name: &str) -> bool {
        name_fits(name, &self.pattern)
    }
}

/// Whether a pattern is one or more whole parts of a name.
fn name_fits(name: &str, pattern: &str) -> bool {
    format!(".{name}.").contains(&format!(".{pattern}."))
}

impl FromStr for Keep {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let (pattern, dtype) = text
            .split_once('=')
            .filter(|(pattern, _)| !pattern.is_empty())
            .ok_or_else(|| Error::Argument(format!("{text:?} is not of the form name=dtype")))?;
        Ok(Keep {
            pattern: pattern.into(),
            dtype: dtype.parse()?,
        })
    }
}

/// Prefix of metadata keys that record what happened to an already-quantised source's weights:
/// `integers.` and the weight's name. Values: `kept`, `requantized`, or kept except for some rows.
pub const INTEGERS: &str = "integers.";

/// Options of a conversion.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// Type of all matrices and embeddings. The classifier and the segment embeddings, which have
    /// few rows, stay f32, as biases and layer norms do.
    pub dtype: WeightDtype,
    /// Exceptions. The last match wins.
    pub keep: Vec<Keep>,
    /// Bits of the activations that int8 matrices are multiplied by.
    pub activations: ActivationChoice,
    /// Notes to store in the file, `key = value`.
    pub metadata: Vec<(String, String)>,
}

impl ConvertOptions {
    fn dtype_of(&self, name: &str, default: WeightDtype) -> Dtype {
        let kept = self.keep.iter().rev().find(|keep| keep.fits(name));
        kept.map_or(default, |keep| keep.dtype).dtype()
    }
}

/// Converts a model. Calls `progress` with the number of weights done and the number of all
/// weights.
///
/// Apart from the file, memory holds at most the largest tensor, in f32 and in its stored dtype.
///
/// # Errors
/// [`Error::Tensor`] where a tensor is missing, has the wrong shape, or holds NaN or infinity;
/// [`Error::Argument`] where an option is wrong; [`Error::Engine`] where the config is wrong;
/// errors of the source.
pub fn convert(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    source: &mut dyn TensorSource,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<AlignedBytes, Error> {
    self_test::fill(build(config, tokenizer, source, options, progress)?)
}

/// A row of a file's self-test, and the source's own result for it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// The texts, and the stored logit (for an encoder, the cosine).
    pub row: SelfTestRow,
    /// The logit of the source's weights, computed in f32.
    pub source_logit: f32,
}

/// Recomputes a file's self-test in f32 from the weights of its source. The differences are the
/// cost of the file's dtypes.
///
/// Holds an f32 file of the source in memory.
///
/// # Errors
/// As [`convert`]; [`Error::Argument`] where the self-test is not this crate's.
pub fn compare_with_source(
    file: &[u8],
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    source: &mut dyn TensorSource,
) -> Result<Vec<SourceRow>, Error> {
    let sections = directory::parse(file, &Header::parse(file)?)?;
    let stored = sections.iter().find(|s| s.name == "self_test");
    let stored = stored.map_or(&[][..], |s| &file[s.offset..s.offset + s.len]);
    let rows = parse_self_test(stored)?;
    let own = |row: &SelfTestRow| TEXTS.contains(&(&*row.query, &*row.passage));
    if rows.len() != TEXTS.len() || !rows.iter().all(own) {
        return Err(Error::Argument("the self-test has other rows".into()));
    }
    let exact = f32_model(config, tokenizer, source)?;
    let logits = exact.self_test_logits(Kernels::best())?;
    let rows = rows.into_iter().zip(logits);
    Ok(rows
        .map(|(row, source_logit)| SourceRow { row, source_logit })
        .collect())
}

/// What happened to an already-quantised source's weights: the [`INTEGERS`] notes of a model file.
/// Empty for other sources.
///
/// # Errors
/// When the file is not valid.
pub fn integers(file: &[u8]) -> Result<Vec<(String, String)>, Error> {
    let sections = directory::parse(file, &Header::parse(file)?)?;
    let stored = sections.iter().find(|s| s.name == "metadata");
    let stored = stored.map_or(&[][..], |s| &file[s.offset..s.offset + s.len]);
    let notes = metadata::parse(stored)?.into_iter();
    let notes =
        notes.filter_map(|(key, value)| Some((key.strip_prefix(INTEGERS)?.to_owned(), value)));
    Ok(notes.collect())
}

/// The source in f32, with an empty self-test.
pub(crate) fn f32_model(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    source: &mut dyn TensorSource,
) -> Result<Model, Error> {
    let options = ConvertOptions {
        dtype: WeightDtype::F32,
        ..ConvertOptions::default()
    };
    let file = build(config, tokenizer, source, &options, &mut |_, _| ())?;
    Ok(Model::from_blob(
        Blob::from_aligned(file),
        Verify::Structure,
    )?)
}

/// The file with an empty self-test.
fn build(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    source: &mut dyn TensorSource,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<AlignedBytes, Error> {
    config
        .validate()
        .map_err(|(name, reason)| Error::Argument(format!("{name}: {reason}")))?;
    let weights = weights::all(config, options);
    for keep in &options.keep {
        if !weights.iter().any(|w| keep.fits(w.name())) {
            let reason = format!("{}: no weight has this name", keep.pattern);
            return Err(Error::Argument(reason));
        }
    }
    let activations = activations(&weights, options)?;
    weights::check_shapes(&weights, source)?;
    let mut options = options.clone();
    for weight in &weights {
        if let Some(takeover) = weight.takeover(source)? {
            let key = format!("{INTEGERS}{}", weight.name());
            options.metadata.push((key, takeover));
        }
    }
    let mut draft = plan(config, activations, tokenizer, &weights, &options)?;
    for (done, weight) in weights.iter().enumerate() {
        progress(done, weights.len());
        weight.write(source, &mut draft)?;
    }
    progress(weights.len(), weights.len());
    Ok(draft.seal())
}

/// The precision of activations. It has a meaning only for int8 matrices.
fn activations(
    weights: &[weights::Weight],
    options: &ConvertOptions,
) -> Result<Activations, Error> {
    let chosen = options.activations.resolve()?;
    if weights.iter().any(weights::Weight::is_int8_matrix) {
        return Ok(chosen);
    }
    if options.activations.is_auto() {
        return Ok(Activations::default());
    }
    Err(Error::Argument(
        "activations: only int8 weights round them, and no matrix is int8".into(),
    ))
}

/// Lays the file out and fills everything except the weights.
fn plan(
    config: &ModelConfig,
    activations: Activations,
    tokenizer: &Tokenizer,
    weights: &[weights::Weight],
    options: &ConvertOptions,
) -> Result<Draft, Error> {
    let metadata = metadata::to_bytes(&options.metadata)?;
    let self_test = self_test::empty();
    let config = config::to_bytes(config, activations);
    let prompts = tokenizer.prompts();
    let prompts = (!prompts.is_empty())
        .then(|| prompts.to_bytes())
        .transpose();
    let prompts = prompts.map_err(lanerank::Error::from)?;
    let tokenizer = tokenizer.sections();
    let mut strings: Vec<(&str, &[u8])> = vec![
        ("config", &config),
        ("metadata", &metadata),
        ("self_test", &self_test),
        ("tokenizer.config", &tokenizer.config),
        ("tokenizer.text", &tokenizer.text),
        ("tokenizer.offsets", &tokenizer.offsets),
        ("tokenizer.lookup", &tokenizer.lookup),
    ];
    if let Some(unigram) = &tokenizer.unigram {
        strings.push(("tokenizer.scores", &unigram.scores));
        strings.push(("tokenizer.trie", &unigram.trie));
        strings.push(("tokenizer.charsmap", &unigram.charsmap));
    }
    if let Some(prompts) = &prompts {
        strings.push(("tokenizer.prompts", prompts));
    }
    let mut plan = Plan::default();
    for &(name, bytes) in &strings {
        plan.add(name, Dtype::U8, Layout::Rows, &[bytes.len()])?;
    }
    for weight in weights {
        weight.plan(&mut plan)?;
    }
    let mut draft = plan.lay_out()?;
    for (name, bytes) in strings {
        draft.fill(name, bytes)?;
    }
    Ok(draft)
}
