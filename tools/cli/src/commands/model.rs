//! Arguments that name a model and say how to run it.

use std::path::{Path, PathBuf};

use clap::Args;
use lanerank::{Builder, Model, Ranker, Verify};

use super::models;
use crate::failure::Failure;

/// What the model that no file names is called.
pub const EMBEDDED: &str = "embedded model";

const HELP: &str = if cfg!(feature = "embedded-model") {
    "Model file, or a name from `lanerank models list` or org/name that was pulled [default: the \
     embedded model]. Do not change a file in place while it is in use; replacing it is fine"
} else {
    NO_DEFAULT_HELP
};

/// Help on `--model` where it has no default.
pub const NO_DEFAULT_HELP: &str = "Model file, or a name from `lanerank models list` or org/name that was pulled. Do not change a \
     file in place while it is in use; replacing it is fine";

/// The model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// File or name; the embedded model without it.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "LANERANK_MODEL",
        hide_env_values = true,
        help = HELP
    )]
    pub model: Option<PathBuf>,

    /// Trust the model file's weights: leave out its checksums, for which all of it is read. Its
    /// structure is verified all the same
    #[arg(long)]
    pub no_checksums: bool,
}

impl ModelArgs {
    /// What reports call the model.
    pub fn name(&self) -> String {
        match &self.model {
            Some(path) => path.display().to_string(),
            None => EMBEDDED.into(),
        }
    }

    fn verify(&self) -> Verify {
        match self.no_checksums {
            true => Verify::Structure,
            false => Verify::All,
        }
    }

    /// Maps the file, its checksums verified unless asked otherwise; without one, the embedded model.
    ///
    /// # Errors
    /// When the file is not a model, or none was named and this build has none.
    pub fn open(&self) -> Result<Model, Failure> {
        match &self.model {
            Some(name) => map(&models::resolve(name)?, self.verify()),
            None => embedded(),
        }
    }
}

/// Opens the embedded model.
///
/// # Errors
/// When this build has none, with the way to a model.
pub fn embedded() -> Result<Model, Failure> {
    Model::embedded().map_err(|e| {
        Failure::Usage(format!(
            "{e}; give a model file (or set LANERANK_MODEL), `lanerank convert FOLDER -o FILE` makes \
             one from a BERT cross-encoder in Hugging Face's layout"
        ))
    })
}

/// Maps a model file, which nobody may change in place while the model is in use: the help text asks
/// that of users, and whoever calls this has to see to it.
///
/// # Errors
/// When it cannot be read or is not a model.
#[allow(unsafe_code)]
pub fn map(path: &Path, verify: Verify) -> Result<Model, Failure> {
    // SAFETY: nothing in this process writes to a model file in place (`convert` replaces it by a
    // rename), and the help text of `--model` asks the same of everyone else.
    let model = unsafe { Model::map(path, verify) };
    model.map_err(|e| Failure::library(path, e))
}

/// A model and how to run it.
#[derive(Debug, Args)]
pub struct RankerArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,

    /// Longest query and passage together, in tokens [default: the model's]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,

    /// Threads a request may use [default: as many as this process may]
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<usize>,

    /// Read `[SEP]` and its like in a text as plain text
    #[arg(long)]
    pub special_tokens_as_text: bool,
}

impl RankerArgs {
    /// Opens the model and makes the ranker.
    ///
    /// # Errors
    /// When the model cannot be opened or cannot be run as asked for.
    pub fn ranker(&self) -> Result<Ranker, Failure> {
        Ok(self.builder::<Ranker>()?.build()?)
    }

    /// Opens the model and sets up what is to run it.
    ///
    /// # Errors
    /// When the model cannot be opened.
    pub fn builder<T>(&self) -> Result<Builder<T>, Failure> {
        let mut builder = Builder::default()
            .opened(self.model.open()?)
            .special_tokens_as_text(self.special_tokens_as_text);
        if let Some(tokens) = self.max_length {
            builder = builder.max_length(tokens);
        }
        if let Some(count) = self.threads {
            builder = builder.threads(count);
        }
        Ok(builder)
    }
}
