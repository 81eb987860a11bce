//! `lanerank embed`: vectors of texts, line by line.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use lanerank::Encoder;

use super::arguments::model::{NO_DEFAULT_HELP, RankerArgs};
use crate::failure::Failure;
use crate::input::Input;
use crate::output;
use crate::passages::InputFormat;
use crate::texts::Texts;

/// Lines per batch: enough work for all threads.
const LINES: usize = 256;

/// Turn texts into vectors with a sentence encoder: one JSON array per text
#[derive(Debug, Args)]
#[command(mut_arg("model", |arg| arg.help(NO_DEFAULT_HELP)))]
pub struct EmbedArgs {
    /// Texts in a form that `rerank` reads, such as lines or JSON lines [default: standard input]
    file: Option<PathBuf>,

    #[command(flatten)]
    encoder: RankerArgs,

    /// Form of the input
    #[arg(long, value_enum, default_value_t = InputFormat::Auto)]
    format: InputFormat,
}

/// Runs the command.
///
/// # Errors
/// When the model is not an encoder, a line is wrong, or the answer cannot be written.
pub fn run(args: &EmbedArgs) -> Result<(), Failure> {
    if args.encoder.model.model.is_none() {
        return Err(Failure::Usage(
            "no sentence encoder: give --model FILE or set LANERANK_MODEL (the embedded model is a \
             cross-encoder, whose vectors mean nothing on their own); `lanerank convert FOLDER -o \
             FILE` makes one, for instance from all-MiniLM-L6-v2"
                .into(),
        ));
    }
    let encoder: Encoder = args.encoder.builder::<Encoder>()?.build()?;
    let input = Input::open(args.file.as_deref())?;
    let place = input.place().clone();
    let mut read = Texts::open(input, args.format)?;
    let mut none = true;
    let mut out = BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    let mut texts: Vec<String> = Vec::with_capacity(LINES);
    while let Some(text) = read.next_text()? {
        none = false;
        texts.push(text);
        if texts.len() == LINES {
            write_vectors(&encoder, &texts, &mut out)?;
            texts.clear();
        }
    }
    if none {
        output::notice(format!("{place}: no texts"));
    }
    write_vectors(&encoder, &texts, &mut out)?;
    out.flush().map_err(Failure::Output)
}

fn write_vectors(encoder: &Encoder, texts: &[String], out: &mut impl Write) -> Result<(), Failure> {
    for vector in encoder.encode(texts)? {
        serde_json::to_writer(&mut *out, &vector).map_err(|e| Failure::Output(e.into()))?;
        out.write_all(b"\n").map_err(Failure::Output)?;
    }
    Ok(())
}
