//! Setting up a [`Ranker`] or an [`Encoder`]: the same choices for both.

use std::marker::PhantomData;
use std::path::PathBuf;

use lanerank_kernels::{Isa, Kernels};

use crate::model::{Head, Model};
use crate::scoring::Engine;
use crate::threads::Threads;
use crate::{Encoder, Error, Ranker};

enum Source {
    Embedded,
    Path(PathBuf),
    Opened(Model),
}

/// Choices for a [`Ranker`] or an [`Encoder`]. Each has a default, the model of an encoder excepted.
pub struct Builder<T> {
    source: Source,
    max_length: Option<usize>,
    threads: Option<usize>,
    isa: Option<Isa>,
    special_tokens_as_text: bool,
    made: PhantomData<T>,
}

impl<T> Default for Builder<T> {
    fn default() -> Self {
        Builder {
            source: Source::Embedded,
            max_length: None,
            threads: None,
            isa: None,
            special_tokens_as_text: false,
            made: PhantomData,
        }
    }
}

impl<T> Builder<T> {
    /// The model file to read. Default for a [`Ranker`]: [`Model::embedded`]. An [`Encoder`] has no
    /// default, because the embedded model is a cross-encoder.
    pub fn model(mut self, path: impl Into<PathBuf>) -> Self {
        self.source = Source::Path(path.into());
        self
    }

    /// A model that is already open, for instance a mapped one.
    pub fn opened(mut self, model: Model) -> Self {
        self.source = Source::Opened(model);
        self
    }

    /// Longest sequence in tokens, special tokens included; what is longer is truncated, and every
    /// hit says so. Default: as the model file says.
    pub fn max_length(mut self, tokens: usize) -> Self {
        self.max_length = Some(tokens);
        self
    }

    /// Threads that one request may use: the calling one, and a pool that the first request of several
    /// passages starts; where the system refuses that, the calling thread computes alone. Default: as
    /// many as this process may use, which in a container is its share and not the host's.
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// The kernel tier. Default: `LANERANK_ISA` where it is set, else the best this CPU has.
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Whether `[SEP]` and its like in a text are read as plain text. Default: no, as in Hugging
    /// Face tokenizers. Worth setting where passages come from people you do not trust.
    pub fn special_tokens_as_text(mut self, yes: bool) -> Self {
        self.special_tokens_as_text = yes;
        self
    }

    fn engine(self) -> Result<Engine, Error> {
        let model = match self.source {
            Source::Embedded => Model::embedded()?,
            Source::Path(path) => Model::open(path)?,
            Source::Opened(model) => model,
        };
        let tokenizer = model
            .tokenizer()
            .clone()
            .special_tokens_as_text(self.special_tokens_as_text);
        let kernels = match self.isa {
            Some(isa) => Kernels::for_isa(isa)?,
            None => Kernels::from_env()?,
        };
        let config = model.config();
        let least = match config.head {
            Head::Classifier { .. } => 3,
            Head::Encoder { .. } => 2,
        };
        let max_length = self.max_length.unwrap_or(config.max_length);
        let most = config.max_position_embeddings;
        if !(least..=most).contains(&max_length) {
            return Err(Error::Argument(format!(
                "max_length: {max_length} is not in {least}..={most}, what this model can take"
            )));
        }
        let threads = Threads::new(self.threads)?;
        Ok(Engine::new(model, tokenizer, kernels, threads, max_length))
    }
}

impl Builder<Ranker> {
    /// Opens the model and makes the ranker.
    ///
    /// # Errors
    /// What is wrong with the model file, or which choice cannot be met here: no model in a build
    /// without the feature `embedded-model`, for one.
    pub fn build(self) -> Result<Ranker, Error> {
        Ok(Ranker::from_engine(self.engine()?))
    }
}

impl Builder<Encoder> {
    /// Opens the model and makes the encoder.
    ///
    /// # Errors
    /// What is wrong with the model file, which choice cannot be met here, that no model was named,
    /// or that it is a cross-encoder, whose vectors mean nothing on their own.
    pub fn build(self) -> Result<Encoder, Error> {
        if let Source::Embedded = self.source {
            return Err(Error::Argument(
                "no model was named: an encoder needs a sentence encoder's file, and the embedded \
                 model is a cross-encoder"
                    .into(),
            ));
        }
        let engine = self.engine()?;
        match engine.model.config().head {
            Head::Encoder { .. } => Ok(Encoder::from_engine(engine)),
            Head::Classifier { .. } => Err(Error::Unsupported(
                "embeddings from a cross-encoder; use a sentence encoder, or Ranker".into(),
            )),
        }
    }
}
