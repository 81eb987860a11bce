//! Where a converter takes its tensors from.

use crate::error::Error;

/// Named f32 tensors of a source model, row-major, under the names that Hugging Face's BERT uses
/// without the `bert.` prefix (`embeddings.word_embeddings.weight`,
/// `encoder.layer.0.attention.self.query.weight`, `pooler.dense.bias`, `classifier.weight`, ...).
/// Weights of linear layers are `[out, in]`, as in PyTorch.
pub trait TensorSource {
    /// Shape of the tensor, or `None` where the source has none of that name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Values of the tensor, converted to f32.
    ///
    /// # Errors
    /// When the tensor does not exist or its bytes cannot be read.
    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error>;

    /// Rows of integers, where the source keeps this matrix as such: a conversion to int8 takes them
    /// over as they are.
    ///
    /// # Errors
    /// When the tensor does not exist or its bytes cannot be read.
    fn read_integers(&mut self, name: &str) -> Result<Option<IntegerRows>, Error> {
        let _ = name;
        Ok(None)
    }
}

/// A matrix of integers with a scale for each row: an element is its integer times its row's scale.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerRows {
    /// `[rows, width]`, row-major; not all of them need fit 8 bits.
    pub values: Vec<i16>,
    /// `[rows]`
    pub scales: Vec<f32>,
}
