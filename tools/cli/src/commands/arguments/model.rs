//! Arguments that name a model and set how it runs.

use std::path::{Path, PathBuf};

use clap::Args;
use lanerank::{Builder, Model, Ranker, Verify};
use lanerank_convert::import::is_lane;

#[cfg(feature = "hub")]
use crate::commands::models::of_name;
use crate::failure::Failure;

/// Name of the embedded model in reports.
pub(crate) const EMBEDDED: &str = "embedded model";

const HELP: &str = if cfg!(feature = "embedded-model") {
    "Model file, a name from `lanerank models list`, or a pulled org/name [default: the embedded \
     model]. Do not change a file in place while it is in use; replacing it is fine"
} else {
    NO_DEFAULT_HELP
};

/// Help of `--model` if it has no default.
pub(crate) const NO_DEFAULT_HELP: &str = "Model file, a name from `lanerank models list`, or a \
     pulled org/name. Do not change a file in place while it is in use; replacing it is fine";

/// A model.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// File or name; `None` for the embedded model.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "LANERANK_MODEL",
        hide_env_values = true,
        help = HELP
    )]
    pub model: Option<PathBuf>,

    /// Trust the model file's weights: skip the checksums, which read the whole file. Its structure
    /// is still verified
    #[arg(long)]
    pub no_checksums: bool,
}

impl ModelArgs {
    /// Name of the model in reports.
    pub fn name(&self) -> String {
        match &self.model {
            Some(path) => path.display().to_string(),
            None => EMBEDDED.into(),
        }
    }

    fn verify(&self) -> Verify {
        if self.no_checksums {
            Verify::Structure
        } else {
            Verify::All
        }
    }

    /// Maps the file and verifies its checksums, unless asked not to; without a file, opens the
    /// embedded model.
    ///
    /// # Errors
    /// When the file is not a model, or no file was named and this build has no embedded model.
    pub fn open(&self) -> Result<Model, Failure> {
        match &self.model {
            Some(name) => map(&resolve(name)?, self.verify()),
            None => embedded(),
        }
    }
}

/// Resolves `--model`: a path, or the int8 file of a downloaded model.
///
/// # Errors
/// When the model is not on this machine, is a folder or a file of another format; names the
/// command that downloads or converts it. When the name is neither a path nor a registered model's.
pub fn resolve(model: &Path) -> Result<PathBuf, Failure> {
    let shown = model.display();
    if model.is_dir() {
        return Err(Failure::Usage(format!(
            "{shown} is a folder, not a model file; `lanerank convert {shown} -o FILE` makes one"
        )));
    }
    if model.exists() && !is_lane(model) {
        return Err(Failure::Usage(format!(
            "{shown} is not a model file; `lanerank convert {shown} -o FILE` makes one from a \
             safetensors, PyTorch, ONNX, GGUF or zip file"
        )));
    }
    let path = || model.to_owned();
    match model.to_str() {
        Some(name) if !model.exists() && !is_lane(model) => {
            of_name(name).map(|found| found.unwrap_or_else(path))
        }
        _ => Ok(path()),
    }
}

/// Without the hub, models have no names.
#[cfg(not(feature = "hub"))]
fn of_name(name: &str) -> Result<Option<PathBuf>, Failure> {
    let what = format!("there is no file {name}, and a model's name");
    Err(crate::missing::lacks(&what, "hub"))
}

/// Opens the embedded model.
///
/// # Errors
/// When this build has none; the message says how to get a model.
pub(crate) fn embedded() -> Result<Model, Failure> {
    Model::embedded().map_err(|e| {
        Failure::Usage(format!(
            "{e}; give a model file (or set LANERANK_MODEL): `lanerank convert FOLDER -o FILE` \
             makes one from a BERT cross-encoder in Hugging Face's layout"
        ))
    })
}

/// Maps a model file. Nobody may change the file in place while the model is in use: the help text
/// asks this of users, and callers must ensure it.
///
/// # Errors
/// When it cannot be read or is not a model.
#[allow(unsafe_code)]
pub fn map(path: &Path, verify: Verify) -> Result<Model, Failure> {
    // SAFETY: nothing in this process writes to a model file in place (`convert` replaces it with a
    // rename), and the help text of `--model` asks the same of everyone else.
    let model = unsafe { Model::map(path, verify) };
    model.map_err(|e| Failure::library(path, e))
}

/// Limits of a request.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Longest query and passage together, in tokens [default: the model's]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,

    /// Threads per request, at most 64 or 4 per CPU [default: all CPUs that this process may use]
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<usize>,
}

impl LimitArgs {
    /// Sets the limits.
    pub fn apply<T>(&self, mut builder: Builder<T>) -> Builder<T> {
        if let Some(tokens) = self.max_length {
            builder = builder.max_length(tokens);
        }
        if let Some(count) = self.threads {
            builder = builder.threads(count);
        }
        builder
    }
}

/// A model and how it runs.
#[derive(Debug, Args)]
pub struct RankerArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,

    /// Limits of a request.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Read special tokens in a text, such as `[SEP]`, as plain text
    #[arg(long)]
    pub special_tokens_as_text: bool,
}

impl RankerArgs {
    /// Opens the model and makes the ranker.
    ///
    /// # Errors
    /// When the model cannot be opened, or not run with these settings.
    pub fn ranker(&self) -> Result<Ranker, Failure> {
        Ok(self.builder::<Ranker>()?.build()?)
    }

    /// Opens the model and prepares what runs it.
    ///
    /// # Errors
    /// When the model cannot be opened.
    pub fn builder<T>(&self) -> Result<Builder<T>, Failure> {
        let builder = Builder::default()
            .opened(self.model.open()?)
            .special_tokens_as_text(self.special_tokens_as_text);
        Ok(self.limits.apply(builder))
    }
}
