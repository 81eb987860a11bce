//! Sentence embeddings from the same layers.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use lanerank_kernels::Kernels;

use crate::Error;
use crate::builder::Builder;
use crate::layers::attention::Prefix;
use crate::model::Model;
use crate::scoring::{Cut, Engine, push_single};
use crate::scratch::Scratch;
use crate::tokenizer::{Tokenizer, Truncation};

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
    /// Sets up an encoder.
    pub fn builder() -> Builder<Encoder> {
        Builder::default()
    }

    pub(crate) fn from_engine(engine: Engine) -> Encoder {
        Encoder(Arc::new(engine))
    }

    /// The model in use.
    pub fn model(&self) -> &Model {
        &self.0.model
    }

    /// Length of a vector.
    pub fn dimension(&self) -> usize {
        self.0.model.config().hidden_size
    }

    /// One vector a text, in the order given: pooled, and scaled to unit length where the model
    /// says so.
    ///
    /// # Errors
    /// [`Error::NotANumber`] where the model's arithmetic ends in NaN or infinity.
    pub fn encode<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>, Error> {
        let vectors = Mutex::new(vec![Vec::new(); texts.len()]);
        encode_with(&self.0, texts, None, Cut::default(), |index, vector, _| {
            vectors.lock().unwrap_or_else(|e| e.into_inner())[index] = vector.to_vec();
        });
        let vectors = vectors.into_inner().unwrap_or_else(|e| e.into_inner());
        let broken = |vector: &Vec<f32>| vector.iter().any(|x| !x.is_finite());
        match vectors.iter().position(broken) {
            Some(index) => Err(Error::NotANumber { index }),
            None => Ok(vectors),
        }
    }
}

/// Gives each text's vector, and how many tokens were cut from it, to `emit`.
pub(crate) fn encode_with<T: AsRef<str> + Sync>(
    engine: &Engine,
    texts: &[T],
    deadline: Option<Instant>,
    cut: Cut,
    emit: impl Fn(usize, &[f32], usize) + Sync,
) {
    let tokenizer = &engine.tokenizer;
    let width = engine.model.bert().out_width();
    engine.run(
        texts,
        engine.batch_rows(texts, deadline),
        &Prefix::default(),
        deadline,
        |text, scratch| Truncation {
            query_tokens: 0,
            passage_tokens: push_single(tokenizer, text.as_ref(), engine.max_length, cut, scratch),
        },
        |batch, out| {
            for (&(index, cut), vector) in batch.iter().zip(out.chunks_exact(width)) {
                emit(index, vector, cut.passage_tokens);
            }
        },
    );
}

/// One text's vector, and how many tokens were cut from it.
pub(crate) fn encode_one(
    model: &Model,
    tokenizer: &Tokenizer,
    kernels: &Kernels,
    text: &str,
    max_length: usize,
    cut: Cut,
    scratch: &mut Scratch,
) -> (Vec<f32>, usize) {
    scratch.batch.clear();
    let tokens_cut = push_single(tokenizer, text, max_length, cut, scratch);
    model.bert().run(kernels, &Prefix::default(), scratch);
    (scratch.out.clone(), tokens_cut)
}

/// Cosine similarity; 0 where a vector is all zeros.
pub(crate) fn cosine(kernels: &Kernels, a: &[f32], b: &[f32]) -> f32 {
    let norms = kernels.dot(a, a).sqrt() * kernels.dot(b, b).sqrt();
    match norms == 0.0 {
        true => 0.0,
        false => kernels.dot(a, b) / norms,
    }
}
