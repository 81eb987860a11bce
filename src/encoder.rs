//! Sentence embeddings.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::layers::attention::Prefix;
use crate::model::open::Model;
use crate::tokenizer::{Role, Truncation, TruncationPolicy};

/// Turns texts into vectors with a sentence encoder such as all-MiniLM-L6-v2.
///
/// ```no_run
/// use lanerank::Encoder;
/// let encoder = Encoder::builder().model("all-MiniLM-L6-v2.lane").build()?;
/// let vectors = encoder.encode(&["a sentence", "another"])?;
/// assert_eq!(vectors[0].len(), encoder.dimension());
/// # Ok::<(), lanerank::Error>(())
/// ```
#[derive(Clone)]
pub struct Encoder(Arc<Engine>);

impl Encoder {
    pub(crate) fn from_engine(engine: Engine) -> Encoder {
        Encoder(Arc::new(engine))
    }

    /// The model in use.
    pub fn model(&self) -> &Model {
        &self.0.scorer.model
    }

    /// Length of a vector.
    pub fn dimension(&self) -> usize {
        self.model().config().hidden_size
    }

    /// One vector per text, in the order of the texts: pooled, and scaled to unit length if the
    /// model says so.
    ///
    /// # Errors
    /// [`Error::NotANumber`] if the model's arithmetic ends in NaN or infinity.
    pub fn encode<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>, Error> {
        let (engine, scorer) = (&*self.0, &self.0.scorer);
        let mut vectors = Vec::new();
        engine.run(
            texts,
            engine.pace_of(texts, None),
            &Prefix::default(),
            &mut vectors,
            |text, scratch| Truncation {
                query_tokens: scorer.push_single(
                    (Role::Text, text.as_ref()),
                    TruncationPolicy::default(),
                    scratch,
                ),
                passage_tokens: 0,
            },
            |_, vector| vector.to_vec(),
        )?;
        // Without a deadline every text has a vector.
        let vectors: Vec<Vec<f32>> = vectors.into_iter().flatten().collect();
        let broken = |vector: &Vec<f32>| vector.iter().any(|x| !x.is_finite());
        match vectors.iter().position(broken) {
            Some(index) => Err(Error::NotANumber { index }),
            None => Ok(vectors),
        }
    }
}
