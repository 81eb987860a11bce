//! Weights changed so that the engine's rules give the model's own scores.

use lanerank::Tokenizer;
use lanerank::model::ModelConfig;

use crate::error::Error;
use crate::import::error::ImportError;
use crate::import::weights::Weights;
use crate::source::{IntegerRows, TensorSource};

/// Name of the table of token types.
const TOKEN_TYPES: &str = "embeddings.token_type_embeddings.weight";

/// The weights of a reader, with two exact changes.
pub(super) struct Adjusted {
    pub inner: Box<dyn Weights>,
    /// All token types are 0: every row of their table is row 0.
    pub one_type: bool,
    /// The two labels change places: name of the classifier, without `.weight`.
    pub exchanged: Option<&'static str>,
}

impl Adjusted {
    /// Whether a tensor has two rows (or values) that change places.
    fn exchanges(&self, name: &str) -> bool {
        let rest = self.exchanged.and_then(|stem| name.strip_prefix(stem));
        matches!(rest, Some(".weight" | ".bias"))
    }
}

impl TensorSource for Adjusted {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.inner.shape(name)
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let mut values = self.inner.read(name)?;
        if self.one_type
            && name == TOKEN_TYPES
            && let Some(width) = self
                .inner
                .shape(name)
                .and_then(|shape| shape.last().copied())
            && let Some((first, others)) = values.split_at_mut_checked(width)
        {
            for row in others.chunks_exact_mut(width.max(1)) {
                row.copy_from_slice(first);
            }
        }
        if self.exchanges(name) {
            let half = values.len() / 2;
            values.rotate_left(half);
        }
        Ok(values)
    }

    fn read_integers(&mut self, name: &str) -> Result<Option<IntegerRows>, Error> {
        if self.exchanges(name) || (self.one_type && name == TOKEN_TYPES) {
            return Ok(None);
        }
        self.inner.read_integers(name)
    }
}

impl Weights for Adjusted {
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }

    fn adopt(&self, config: &mut ModelConfig) -> Result<Vec<String>, ImportError> {
        self.inner.adopt(config)
    }

    /// The graph is compared with the weights as the file has them.
    fn verify(
        &mut self,
        config: &ModelConfig,
        tokenizer: &Tokenizer,
    ) -> Result<Option<f32>, ImportError> {
        self.inner.verify(config, tokenizer)
    }
}
