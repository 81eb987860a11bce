//! A model that was read from a source, ready for conversion.

use lanerank::Tokenizer;
use lanerank::format::storage::AlignedBytes;
use lanerank::model::ModelConfig;

use super::options::Kind;
use crate::convert::{ConvertOptions, SourceRow, compare_with_source, convert};
use crate::error::Error;
use crate::source::TensorSource;

/// Value of the note `converter` in the files that [`Source::convert`] makes.
const CONVERTER: &str = concat!("lanerank ", env!("CARGO_PKG_VERSION"));

/// A model that was read from a source, ready for conversion.
pub struct Source {
    /// Format of the weights.
    pub kind: Kind,
    /// Shape and rules of the model.
    pub config: ModelConfig,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The weights, not read yet.
    pub tensors: Box<dyn TensorSource + Send>,
    /// Warnings for the user, a line each.
    pub notes: Vec<String>,
    /// For ONNX: the largest difference between running the graph itself and running the weights we
    /// extracted, in f32, over the self-test's texts. Logits: relative error (absolute below 1).
    /// Encoders: 1 - cosine.
    pub graph_difference: Option<f32>,
}

impl Source {
    /// Converts the model to the bytes of a model file. The file's metadata begin with the note
    /// `converter`, which names this crate's version; the options' notes follow. `progress` is called
    /// with the number of weights done and the number of all weights.
    ///
    /// # Errors
    /// As [`convert`](crate::convert::convert()).
    pub fn convert(
        &mut self,
        options: &ConvertOptions,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<AlignedBytes, Error> {
        let mut options = options.clone();
        options
            .metadata
            .insert(0, ("converter".into(), CONVERTER.into()));
        let tensors = &mut *self.tensors;
        convert(&self.config, &self.tokenizer, tensors, &options, progress)
    }

    /// Recomputes a converted file's self-test in f32 from the weights of this source. The differences
    /// are the cost of the file's dtypes.
    ///
    /// # Errors
    /// As [`compare_with_source`].
    pub fn compare(&mut self, file: &[u8]) -> Result<Vec<SourceRow>, Error> {
        compare_with_source(file, &self.config, &self.tokenizer, &mut *self.tensors)
    }
}
