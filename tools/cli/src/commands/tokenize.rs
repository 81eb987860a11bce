//! `lanerank tokenize`: turns lines of text into token ids.

use std::borrow::Cow;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use lanerank::Tokenizer;
use lanerank::tokenizer::Encoding;
use lanerank_convert::import;
use lanerank_requests::{RequestError, json};
use serde::{Deserialize, Serialize};

use super::arguments::model::ModelArgs;
use crate::failure::Failure;
use crate::input::Input;
use crate::output;
use crate::texts::{Line, LineFormat, TextLines};

/// Turn texts into token ids: lines, or JSON lines of strings and pairs ["a","b"]; JSON lines out.
/// Texts are taken as they are, without a model's prompts (`inspect` shows those)
#[derive(Debug, Args)]
pub struct TokenizeArgs {
    /// The texts [default: standard input]
    file: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    /// Use a vocabulary file with BERT's rules instead of a model
    #[arg(long, value_name = "vocab.txt", conflicts_with = "tokenizer")]
    vocab: Option<PathBuf>,

    /// The vocabulary is cased: keep capitals and accents
    #[arg(long, requires = "vocab")]
    cased: bool,

    /// Use a Hugging Face tokenizer file instead of a model
    #[arg(long, value_name = "tokenizer.json")]
    tokenizer: Option<PathBuf>,

    /// Cut to this many tokens, longest first [default: do not cut]
    #[arg(long, value_name = "TOKENS")]
    max_length: Option<usize>,

    /// Treat special tokens such as [SEP] in a text as plain text
    #[arg(long)]
    special_tokens_as_text: bool,

    /// Form of the input
    #[arg(long, value_enum, default_value_t = LineFormat::Auto)]
    format: LineFormat,
}

#[derive(Deserialize)]
struct Single<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Pair<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>);

#[derive(Serialize)]
struct Tokens {
    ids: Vec<u32>,
    type_ids: Vec<u8>,
}

impl From<Encoding> for Tokens {
    fn from(encoding: Encoding) -> Self {
        Tokens {
            ids: encoding.ids,
            type_ids: encoding.type_ids,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the tokenizer or a line is wrong, or the output cannot be written.
pub fn run(args: &TokenizeArgs) -> Result<(), Failure> {
    let tokenizer = tokenizer(args)?.special_tokens_as_text(args.special_tokens_as_text);
    let max_length = args.max_length.unwrap_or(usize::MAX);
    let input = Input::open(args.file.as_deref())?;
    let place = input.place().clone();
    let mut lines = TextLines::new(input, args.format);
    let mut none = true;
    let mut out = BufWriter::with_capacity(1 << 18, std::io::stdout().lock());
    while let Some(line) = lines.next_line()? {
        none = false;
        let tokens = match line {
            Line::Plain(text) => Ok(Tokens::from(tokenizer.encode(text, max_length))),
            Line::Json(line) => tokenize(&tokenizer, line, max_length),
        };
        let tokens = tokens.map_err(|e| lines.not_json(&e))?;
        serde_json::to_writer(&mut out, &tokens).map_err(|e| Failure::Output(e.into()))?;
        out.write_all(b"\n").map_err(Failure::Output)?;
    }
    if none {
        output::notice(format!("{place}: no texts"));
    }
    out.flush().map_err(Failure::Output)
}

fn tokenizer(args: &TokenizeArgs) -> Result<Tokenizer, Failure> {
    match (&args.vocab, &args.tokenizer) {
        (Some(path), _) => Ok(import::vocab_txt(path, args.cased)?),
        (_, Some(path)) => Ok(import::tokenizer_json(path)?),
        _ => Ok(args.model.open()?.tokenizer().clone()),
    }
}

fn tokenize(tokenizer: &Tokenizer, line: &str, max_length: usize) -> Result<Tokens, RequestError> {
    let encoding = if line.trim_start().starts_with('[') {
        let Pair(a, b) = json::value(line)?;
        tokenizer.encode_pair(&a, &b, max_length)
    } else {
        let Single(text) = json::value(line)?;
        tokenizer.encode(&text, max_length)
    };
    Ok(encoding.into())
}
