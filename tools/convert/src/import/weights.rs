//! What a reader of weights returns.

use lanerank::Tokenizer;
use lanerank::model::ModelConfig;

use super::error::ImportError;
use crate::source::TensorSource;

/// Weights under the converter's names, with a list of all of them.
pub(super) trait Weights: TensorSource + Send {
    /// Names of all tensors, sorted.
    fn names(&self) -> Vec<String>;

    /// Merges settings stored in the weights file into `config`. Returns warnings for the user.
    ///
    /// # Errors
    /// When the two conflict.
    fn adopt(&self, config: &mut ModelConfig) -> Result<Vec<String>, ImportError> {
        let _ = config;
        Ok(Vec::new())
    }

    /// Checks a file that holds a graph: runs the graph on the self-test's texts, and the extracted
    /// weights in f32, and returns the largest difference. `None` where there is no graph.
    ///
    /// # Errors
    /// When they differ by more than rounding.
    fn verify(
        &mut self,
        config: &ModelConfig,
        tokenizer: &Tokenizer,
    ) -> Result<Option<f32>, ImportError> {
        let _ = (config, tokenizer);
        Ok(None)
    }
}
