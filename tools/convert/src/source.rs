//! The tensors of a source model.

use crate::error::Error;

/// Named f32 tensors, row-major. The names are those of Hugging Face's BERT without the prefix
/// `bert.` (`embeddings.word_embeddings.weight`, `encoder.layer.0.attention.self.query.weight`,
/// `pooler.dense.bias`, `classifier.weight`, ...). Weights of linear layers are `[out, in]`, as in
/// PyTorch.
pub trait TensorSource {
    /// Shape of the tensor, or `None` if the source lacks it.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Values of the tensor, converted to f32.
    ///
    /// # Errors
    /// When the tensor does not exist or its bytes cannot be read.
    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error>;

    /// The integers of a matrix that the source stores quantised. A conversion to int8 keeps them.
    ///
    /// # Errors
    /// When the tensor does not exist or its bytes cannot be read.
    fn read_integers(&mut self, name: &str) -> Result<Option<IntegerRows>, Error> {
        let _ = name;
        Ok(None)
    }
}

/// A matrix of integers with a scale per row: an element is its integer times its row's scale.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerRows {
    /// `[rows, width]`, row-major. Values need not fit 8 bits.
    pub values: Vec<i16>,
    /// `[rows]`
    pub scales: Vec<f32>,
}
