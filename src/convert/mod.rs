//! From a source's f32 tensors to a model file.
//!
//! Reading the source (safetensors, JSON) is the caller's: this module is given a
//! [`TensorSource`], a [`ModelConfig`] and a [`Tokenizer`], and returns the file's bytes, the same
//! ones for the same input on every machine.

mod bert;
mod matrix;

use std::fmt;
use std::str::FromStr;

use lanerank_kernels::{Isa, Kernels};

use crate::Error;
use crate::format::config;
use crate::format::directory::{Dtype, Layout};
use crate::format::self_test::{self, SelfTestRow, TEXTS};
use crate::format::source::TensorSource;
use crate::format::storage::{AlignedBytes, Blob};
use crate::format::write::{Draft, Plan};
use crate::model::{Model, ModelConfig, Verify};
use crate::tokenizer::Tokenizer;

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
        format!(".{name}.").contains(&format!(".{}.", self.pattern))
    }
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

/// How to convert.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// Type of all matrices and embeddings; the classifier and the segment embeddings, a few
    /// rows, stay f32, as biases and layer norms do.
    pub dtype: WeightDtype,
    /// Exceptions; of several that fit, the last holds.
    pub keep: Vec<Keep>,
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
    bert::check_shapes(&weights, source)?;
    let mut draft = plan(config, tokenizer, &weights, options)?;
    for (done, weight) in weights.iter().enumerate() {
        progress(done, weights.len());
        weight.write(source, &mut draft)?;
    }
    let file = add_self_test(draft.seal())?;
    progress(weights.len(), weights.len());
    Ok(file)
}

fn metadata_bytes(options: &ConvertOptions) -> Result<Vec<u8>, Error> {
    let mut text = String::new();
    for (key, value) in &options.metadata {
        let broken =
            key.is_empty() || key.contains(['=', '\n', '\r']) || value.contains(['\n', '\r']);
        if broken {
            let reason = format!("metadata {key:?}: a key or value that does not fit a line");
            return Err(Error::Argument(reason));
        }
        text.push_str(&format!("{key}={value}\n"));
    }
    Ok(text.into_bytes())
}

fn empty_self_test() -> Vec<u8> {
    let row = |(query, passage): (&str, &str)| SelfTestRow {
        query: query.into(),
        passage: passage.into(),
        logit: 0.0,
    };
    self_test::to_bytes(&TEXTS.map(row))
}

/// Lays the file out, with everything in it but the weights.
fn plan(
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    weights: &[bert::Weight],
    options: &ConvertOptions,
) -> Result<Draft, Error> {
    let metadata = metadata_bytes(options)?;
    let self_test = empty_self_test();
    let config = config::to_bytes(config);
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

/// Computes the self-test's logits on the reference tier and stores them.
fn add_self_test(file: AlignedBytes) -> Result<AlignedBytes, Error> {
    let model = Model::from_blob(Blob::from_aligned(file), Verify::Structure)?;
    let logits = model.self_test_logits(Kernels::for_isa(Isa::Reference)?)?;
    let rows = TEXTS
        .iter()
        .zip(logits)
        .map(|(&(query, passage), logit)| SelfTestRow {
            query: query.into(),
            passage: passage.into(),
            logit,
        });
    let rows: Vec<SelfTestRow> = rows.collect();
    let (bytes, sections) = model
        .into_bytes()
        .ok_or_else(|| Error::Argument("the model under conversion is in use".into()))?;
    let mut draft = Draft::reopen(bytes, sections);
    draft.fill("self_test", &self_test::to_bytes(&rows))?;
    Ok(draft.seal())
}
