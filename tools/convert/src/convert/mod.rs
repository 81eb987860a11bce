//! From a source's f32 tensors to a model file.
//!
//! Reading the source (safetensors, JSON) is the caller's: this module is given a
//! [`TensorSource`], a [`ModelConfig`] and a [`Tokenizer`], and returns the file's bytes, the same
//! ones for the same input on every machine.

mod activations;
mod bert;
mod integers;
mod matrix;
pub(crate) mod self_test;
mod smoothing;
mod tensors;

use std::fmt;
use std::str::FromStr;

use lanerank::format::directory::{self, Dtype, Layout};
use lanerank::format::header::Header;
use lanerank::format::self_test::{SelfTestRow, parse as parse_self_test};
use lanerank::format::storage::{AlignedBytes, Blob};
use lanerank::format::write::{Draft, Plan};
use lanerank::format::{config, metadata};
use lanerank::kernels::Kernels;
use lanerank::model::{Activations, Model, ModelConfig, Verify};
use lanerank::tokenizer::Tokenizer;

use crate::error::Error;
use crate::source::TensorSource;
use self_test::TEXTS;

pub use activations::ActivationChoice;

/// Type in which weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightDtype {
    /// 8-bit integers: a scale per output channel of a matrix, per row of a table.
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

/// A dtype for some of the weights: `pattern=dtype`. The pattern is one or more whole parts of a
/// weight's name, as `lanerank inspect` prints it: `classifier`, `layers.0`, `ffn.output`,
/// `embeddings.word`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Parts of the name.
    pub pattern: String,
    /// What the weights it fits are stored as.
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

/// Beginning of the metadata that say what became of the integers of a source that is quantised
/// already: `integers.` and the weight's name. `kept`: taken over as they are; `requantized`:
/// multiplied out and quantised anew; or kept but for some rows.
pub const INTEGERS: &str = "integers.";

/// How to convert.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// Type of all matrices and embeddings; the classifier and the segment embeddings, a few
    /// rows, stay f32, as biases and layer norms do.
    pub dtype: WeightDtype,
    /// Exceptions; of several that fit, the last holds.
    pub keep: Vec<Keep>,
    /// Bits of the activations that int8 matrices are multiplied with.
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

/// Converts a model. `progress` is called with the number of weights done and the number of all.
///
/// Beside the file, at most the largest tensor is in memory, and once more in the dtype it is
/// stored in.
///
/// # Errors
/// [`Error::Tensor`] where a tensor is missing, has the wrong shape, or holds NaN or infinity;
/// [`Error::Argument`] where the config or an option is wrong; what the source reports.
pub fn convert(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    source: &mut dyn TensorSource,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<AlignedBytes, Error> {
    self_test::fill(build(config, tokenizer, source, options, progress)?)
}

/// A row of a model file's self-test beside what its source gives.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// The texts, and the logit (for an encoder, the cosine) that the file stores.
    pub row: SelfTestRow,
    /// The logit that the source's own weights give, computed in f32.
    pub source_logit: f32,
}

/// Computes the self-test of a model file once more in f32 from the weights of the source that it was
/// made of. What differs is what the file's dtypes cost.
///
/// The f32 file of the source is in memory meanwhile.
///
/// # Errors
/// As [`convert`]; [`Error::Argument`] where the file has no self-test of this crate's.
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

/// What became of the integers of a source that is quantised already, weight by weight: the
/// [`INTEGERS`] notes of a model file. Empty where the source was none.
///
/// # Errors
/// When the file is not sound.
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
    let weights = bert::weights(config, options);
    for keep in &options.keep {
        if !weights.iter().any(|w| keep.fits(&w.name)) {
            let reason = format!("{}: no weight has this name", keep.pattern);
            return Err(Error::Argument(reason));
        }
    }
    let activations = activations(config, &weights, options)?;
    bert::check_shapes(&weights, source)?;
    let mut options = options.clone();
    for weight in &weights {
        if let Some(takeover) = weight.takeover(source)? {
            let key = format!("{INTEGERS}{}", weight.name);
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

/// The precision of activations, which means something only where a matrix is int8.
fn activations(
    config: &ModelConfig,
    weights: &[bert::Weight],
    options: &ConvertOptions,
) -> Result<Activations, Error> {
    let chosen = options.activations.resolve(config)?;
    match weights.iter().any(bert::Weight::is_int8_matrix) {
        true => Ok(chosen),
        false if options.activations.is_auto() => Ok(Activations::default()),
        false => Err(Error::Argument(
            "activations: they are rounded for int8 weights only, and no matrix is int8".into(),
        )),
    }
}

/// Lays the file out, with everything in it but the weights.
fn plan(
    config: &ModelConfig,
    activations: Activations,
    tokenizer: &Tokenizer,
    weights: &[bert::Weight],
    options: &ConvertOptions,
) -> Result<Draft, Error> {
    let metadata = metadata::to_bytes(&options.metadata)?;
    let self_test = self_test::empty();
    let config = config::to_bytes(config, activations);
    let tokenizer = tokenizer.sections();
    let strings: [(&str, &[u8]); 7] = [
        ("config", &config),
        ("metadata", &metadata),
        ("self_test", &self_test),
        ("tokenizer.config", &tokenizer.config),
        ("tokenizer.text", &tokenizer.text),
        ("tokenizer.offsets", &tokenizer.offsets),
        ("tokenizer.lookup", &tokenizer.lookup),
    ];
    let mut plan = Plan::default();
    for (name, bytes) in strings {
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
