//! `lanerank convert`: converts a model from another format to a model file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lanerank::format::write::write_file;
use lanerank::model::Pooling;
use lanerank_convert::convert::integers;
use lanerank_convert::convert::{ActivationChoice, ConvertOptions, Keep, SourceRow, WeightDtype};
use lanerank_convert::import::{self, Kind, Options, Source};
use serde::Serialize;

use crate::failure::{Failure, Place};
use crate::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SourceKind {
    /// model.safetensors, or several with model.safetensors.index.json
    Safetensors,
    /// pytorch_model.bin
    Pytorch,
    /// An ONNX file
    Onnx,
    /// A GGUF file, which is a whole model
    Gguf,
    /// A zip of a model folder, such as FlashRank's
    #[value(alias = "flashrank")]
    Zip,
}

impl From<SourceKind> for Kind {
    fn from(kind: SourceKind) -> Kind {
        match kind {
            SourceKind::Safetensors => Kind::Safetensors,
            SourceKind::Pytorch => Kind::Pytorch,
            SourceKind::Onnx => Kind::Onnx,
            SourceKind::Gguf => Kind::Gguf,
            SourceKind::Zip => Kind::Zip,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingChoice {
    /// The mean of all tokens
    Mean,
    /// The first token
    Cls,
}

/// Convert a model from another format to a model file. Nothing in the source is run or unpacked to
/// disk
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// A model folder (config.json, tokenizer.json or vocab.txt, and model.safetensors,
    /// pytorch_model.bin or model.onnx), a zip of one, a file of weights in one, or a GGUF file
    source: PathBuf,

    /// The file to write
    #[arg(long, short, value_name = "OUT.lane")]
    output: PathBuf,

    /// Type of the stored weights: int8, f16 or f32
    #[arg(long, default_value = "int8")]
    dtype: WeightDtype,

    /// Format of the weights, if the source has several [default: the best of them]
    #[arg(long, value_enum, value_name = "KIND")]
    from: Option<SourceKind>,

    /// Other dtypes for some weights, by parts of their names: classifier=f32,layers.0=f16
    #[arg(long, value_delimiter = ',', value_name = "NAME=DTYPE")]
    keep: Vec<Keep>,

    /// Bits of the activations that int8 matrices are multiplied by: auto, a8 or a16, and
    /// exceptions by kind of matrix: a8,ffn.output=a16. auto is a8. a16 halves the rounding error
    /// of the result for up to twice the time of a product; rankings of trained models stay the
    /// same (`lanerank compare` shows both)
    #[arg(long, default_value = "auto", value_name = "BITS")]
    activations: ActivationChoice,

    /// Pooling of an encoder's token vectors [default: as 1_Pooling/config.json says]
    #[arg(long, value_enum)]
    pooling: Option<PoolingChoice>,

    /// Default maximum length of the model, in tokens [default: as the tokenizer's files say]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,

    /// Replace the output if it exists
    #[arg(long)]
    force: bool,

    /// Write a report as a JSON object to standard output
    #[arg(long)]
    json: bool,
}

/// The report.
#[derive(Serialize)]
struct Report<'a> {
    output: &'a Path,
    bytes: usize,
    source: String,
    notes: &'a [String],
    self_test: Vec<Row<'a>>,
    /// Largest difference between a logit of the self-test and the source's weights in f32.
    max_difference: f32,
    /// The same for the source's own graph, if it has one.
    graph_difference: Option<f32>,
    /// What happened to each weight of an already-quantised source.
    integers: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Row<'a> {
    query: &'a str,
    passage: &'a str,
    logit: f32,
    source_logit: f32,
}

/// Runs the command.
///
/// # Errors
/// When the source cannot be converted or the output cannot be written. No output is left then.
pub fn run(args: &ConvertArgs) -> Result<(), Failure> {
    check_output(&args.output, args.force)?;
    let options = Options {
        kind: args.from.map(Kind::from),
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
        activations: args.activations.clone(),
        metadata: Vec::new(),
    };
    let bar = output::progress(0, "weights");
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let done = source.convert(&options, &mut progress).and_then(|file| {
        let rows = source.compare(&file)?;
        Ok((file, rows))
    });
    bar.finish_and_clear();
    let (file, rows) = done.map_err(|e| Failure::conversion(&args.source, e))?;
    write_file(&args.output, &file).map_err(|e| Failure::Failed(e.to_string()))?;
    let integers = integers(&file).map_err(|e| Failure::conversion(&args.output, e))?;
    report(args, &source, file.len(), &rows, &integers)
}

/// Prints the report. Called after everything else, so that a refusal is one line.
fn report(
    args: &ConvertArgs,
    source: &Source,
    bytes: usize,
    rows: &[SourceRow],
    integers: &[(String, String)],
) -> Result<(), Failure> {
    let differences = rows
        .iter()
        .map(|row| (row.row.logit - row.source_logit).abs());
    let max_difference = differences.fold(0.0, f32::max);
    for note in &source.notes {
        output::notice(format!("warning: {note}"));
    }
    let path = args.output.display();
    output::notice(format!("wrote {path} ({bytes} bytes) from {}", source.kind));
    output::notice(format!(
        "self-test: {} rows, at most {max_difference:.2e} from the source's weights in f32",
        rows.len()
    ));
    if !integers.is_empty() {
        output::notice(takeover(integers));
    }
    if let Some(difference) = source.graph_difference {
        output::notice(format!(
            "the graph, computed here as it is: at most {difference:.2e} from those"
        ));
    }
    if !args.json {
        return Ok(());
    }
    let report = Report {
        output: &args.output,
        bytes,
        source: source.kind.to_string(),
        notes: &source.notes,
        graph_difference: source.graph_difference,
        integers: integers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect(),
        self_test: rows.iter().map(Row::of).collect(),
        max_difference,
    };
    output::print(|out| output::write_json(out, &report))
}

/// A line on which weights of a quantised source kept their integers.
fn takeover(integers: &[(String, String)]) -> String {
    let other = integers.iter().filter(|(_, value)| value != "kept");
    let other: Vec<String> = other
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let kept = integers.len() - other.len();
    match other[..] {
        [] => format!("integers of all {kept} quantised weights kept as they are"),
        _ => format!(
            "integers of {kept} quantised weights kept as they are; {}",
            other.join("; ")
        ),
    }
}

impl<'a> Row<'a> {
    fn of(row: &'a SourceRow) -> Row<'a> {
        Row {
            query: &row.row.query,
            passage: &row.row.passage,
            logit: row.row.logit,
            source_logit: row.source_logit,
        }
    }
}

/// Checks before the conversion that the output can be written.
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
