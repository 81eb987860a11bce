//! Arguments that name a model and say how to run it.

use std::path::{Path, PathBuf};

use clap::Args;
use lanerank::{Builder, Model, Ranker, Verify};

use super::models;
use crate::failure::Failure;

/// The model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Model file, or a name from `lanerank models list` or org/name[@revision] that was pulled. Do not
    /// change a file in place while it is in use; replacing it is fine
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "LANERANK_MODEL",
        hide_env_values = true
    )]
    pub model: Option<PathBuf>,
}

impl ModelArgs {
    /// The path given.
    ///
    /// # Errors
    /// When there is none, with the way to a model.
    pub fn path(&self) -> Result<&Path, Failure> {
        self.model.as_deref().ok_or_else(|| {
            Failure::Usage(
                "no model: give --model FILE or set LANERANK_MODEL; `lanerank convert FOLDER -o \
                 FILE` makes one from a BERT cross-encoder in Hugging Face's layout"
                    .into(),
            )
        })
    }

    /// Maps the file, its checksums verified.
    ///
    /// # Errors
    /// When no model was named or the file is not one.
    pub fn open(&self) -> Result<Model, Failure> {
        map(&models::resolve(self.path()?)?, Verify::All)
    }
}

/// Maps a model file.
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
    #[command(flatten)]
    pub model: ModelArgs,

    /// Longest query and passage together, in tokens [default: the model's]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,

    /// Threads a request may use [default: as many as this process may]
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<usize>,

    /// Read [SEP] and its like in a text as plain text
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
