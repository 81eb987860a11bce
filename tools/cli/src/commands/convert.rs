//! `lanerank convert`: a model folder in, a model file out.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lanerank::convert::{ConvertOptions, Keep, WeightDtype};
use lanerank::format::write::write_file;
use lanerank::import::{self, Kind, Options};
use lanerank::model::Pooling;

use crate::failure::{Failure, Place};
use crate::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourceKind {
    /// A folder with config.json, model.safetensors and tokenizer.json or vocab.txt
    Huggingface,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingChoice {
    /// The mean of all tokens
    Mean,
    /// The first token
    Cls,
}

/// Make a model file from a BERT in Hugging Face's layout
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Folder with config.json, model.safetensors and tokenizer.json or vocab.txt
    source: PathBuf,

    /// The file to write
    #[arg(long, short, value_name = "OUT.lane")]
    output: PathBuf,

    /// How weights are stored: int8, f16 or f32
    #[arg(long, default_value = "int8")]
    dtype: WeightDtype,

    /// Layout of the source
    #[arg(long, value_enum, default_value = "huggingface", value_name = "KIND")]
    from: SourceKind,

    /// Other dtypes for some weights, by parts of their names: classifier=f32,layers.0=f16
    #[arg(long, value_delimiter = ',', value_name = "NAME=DTYPE")]
    keep: Vec<Keep>,

    /// How an encoder's token vectors become one [default: as 1_Pooling/config.json says]
    #[arg(long, value_enum)]
    pooling: Option<PoolingChoice>,

    /// Longest sequence by default, in tokens [default: as the tokenizer's files say]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,

    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
}

/// Runs the command.
///
/// # Errors
/// When the source cannot be converted or the output cannot be written; then no output is left.
pub fn run(args: &ConvertArgs) -> Result<(), Failure> {
    check_output(&args.output, args.force)?;
    let options = Options {
        kind: Some(match args.from {
            SourceKind::Huggingface => Kind::Huggingface,
        }),
        pooling: args.pooling.map(|choice| match choice {
            PoolingChoice::Mean => Pooling::Mean,
            PoolingChoice::Cls => Pooling::Cls,
        }),
        max_length: args.max_length,
    };
    let mut source = import::open(&args.source, &options)?;
    let options = ConvertOptions {
        dtype: args.dtype,
        keep: args.keep.clone(),
        metadata: vec![(
            "converter".into(),
            concat!("lanerank ", env!("CARGO_PKG_VERSION")).into(),
        )],
    };
    let bar = output::progress(0, "weights");
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let file = lanerank::convert::convert(
        &source.config,
        &source.tokenizer,
        &mut *source.tensors,
        &options,
        &mut progress,
    );
    bar.finish_and_clear();
    let file = file.map_err(|e| Failure::library(&args.source, e))?;
    write_file(&args.output, &file).map_err(|e| Failure::Failed(e.to_string()))?;
    // Only now: a refusal is one line.
    for note in &source.notes {
        output::notice(format!("warning: {note}"));
    }
    output::notice(format!(
        "wrote {} ({} bytes)",
        args.output.display(),
        file.len()
    ));
    Ok(())
}

/// Finds out before the work is done whether its result can be put down.
fn check_output(path: &Path, force: bool) -> Result<(), Failure> {
    let wrong = |reason: &str| Err(Failure::input(&Place::file(path), reason));
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        return wrong("is a folder");
    }
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return wrong("its folder does not exist");
    }
    if path.exists() && !force {
        return wrong("exists already; --force replaces it");
    }
    Ok(())
}
