//! Sets up a [`Ranker`] or an [`Encoder`]. Both have the same options.

use std::marker::PhantomData;
use std::path::PathBuf;

use lanerank_kernels::{Isa, Kernels};

use crate::config::Head;
use crate::encoder::Encoder;
use crate::engine::{Engine, Interrupt};
use crate::error::Error;
use crate::model::open::Model;
use crate::ranker::Ranker;
use crate::scorer::Scorer;
use crate::threads::Threads;

enum Source {
    Embedded,
    Path(PathBuf),
    Opened(Model),
}

/// Options of a [`Ranker`] or an [`Encoder`]. Every option has a default, except an encoder's
/// model.
pub struct Builder<T> {
    source: Source,
    max_length: Option<usize>,
    threads: Option<usize>,
    isa: Option<Isa>,
    interrupt: Option<Box<Interrupt>>,
    special_tokens_as_text: bool,
    target: PhantomData<T>,
}

impl<T> Default for Builder<T> {
    fn default() -> Self {
        Builder {
            source: Source::Embedded,
            max_length: None,
            threads: None,
            isa: None,
            interrupt: None,
            special_tokens_as_text: false,
            target: PhantomData,
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

    /// A model that is already open, such as a mapped one.
    pub fn opened(mut self, model: Model) -> Self {
        self.source = Source::Opened(model);
        self
    }

    /// Longest sequence in tokens, special tokens included. Longer ones are truncated, and every
    /// hit reports it. Default: the model file's.
    pub fn max_length(mut self, tokens: usize) -> Self {
        self.max_length = Some(tokens);
        self
    }

    /// Threads that one request may use: the calling one, and a pool that the first request of
    /// several passages starts. At most [`max_threads`](crate::max_threads). If the system refuses
    /// to start them, the request fails with [`Error::Threads`].
    ///
    /// Default: as many as this process may use, in a container its share of the host. If the
    /// system refuses to start those, the calling thread computes alone.
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// The kernel tier. Default: `LANERANK_ISA` if it is set, else the best of this CPU.
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// A question that the thread that made a request asks about every 10 ms while it computes:
    /// whether to stop. After `true` the request ends with [`Error::Interrupted`], on all its
    /// threads. Default: requests are never interrupted.
    pub fn interrupt(mut self, stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.interrupt = Some(Box::new(stop));
        self
    }

    /// Whether special tokens such as `[SEP]` inside a text are read as plain text. Default: no, as
    /// in Hugging Face's tokenizers. Turn it on if you do not trust the authors of the passages.
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
        let (config, frame) = (model.config(), tokenizer.frame());
        let least = match config.head {
            Head::Classifier { .. } => frame.pair_overhead(),
            Head::Encoder { .. } => frame.single_overhead(),
        };
        let most = frame.longest(config.max_position_embeddings);
        let max_length = self.max_length.unwrap_or(config.max_length);
        if !(least..=most).contains(&max_length) {
            return Err(Error::Argument(format!(
                "max_length: {max_length} is not in {least}..={most}, this model's range"
            )));
        }
        let scorer = Scorer {
            model,
            tokenizer,
            kernels,
            max_length,
        };
        let threads = Threads::new(self.threads)?;
        Ok(Engine::new(scorer, threads, self.interrupt))
    }
}

impl Ranker {
    /// A ranker with the [`default_model`](crate::default_model) inside this crate: no file, no
    /// network. The same as `Ranker::builder().build()`.
    ///
    /// There is no `Default`, because this can fail.
    ///
    /// # Errors
    /// [`Error::Argument`] if this build lacks the feature `embedded-model`, [`Error::Isa`] if
    /// `LANERANK_ISA` names a tier that this CPU lacks.
    pub fn new() -> Result<Ranker, Error> {
        Ranker::builder().build()
    }

    /// Sets up a ranker with another model or other options.
    pub fn builder() -> Builder<Ranker> {
        Builder::default()
    }
}

impl Encoder {
    /// Sets up an encoder.
    pub fn builder() -> Builder<Encoder> {
        Builder::default()
    }
}

impl Builder<Ranker> {
    /// Opens the model and makes the ranker.
    ///
    /// # Errors
    /// If the model file is wrong, or an option cannot be met here: for example, no model in a
    /// build without the feature `embedded-model`.
    pub fn build(self) -> Result<Ranker, Error> {
        Ok(Ranker::from_engine(self.engine()?))
    }
}

impl Builder<Encoder> {
    /// Opens the model and makes the encoder.
    ///
    /// # Errors
    /// If the model file is wrong, an option cannot be met here, no model was named, or the model
    /// is a cross-encoder, whose vectors mean nothing on their own.
    pub fn build(self) -> Result<Encoder, Error> {
        if let Source::Embedded = self.source {
            return Err(Error::Argument(
                "no model was named: an encoder needs a sentence encoder's file, and the embedded \
                 model is a cross-encoder"
                    .into(),
            ));
        }
        let engine = self.engine()?;
        match engine.scorer.model.config().head {
            Head::Encoder { .. } => Ok(Encoder::from_engine(engine)),
            Head::Classifier { .. } => Err(Error::Unsupported(
                "embeddings from a cross-encoder; use a sentence encoder, or Ranker".into(),
            )),
        }
    }
}
