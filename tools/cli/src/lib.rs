//! The command line of lanerank as a library. The binary is one call of [`main`]; tests, fuzzers
//! and other tools use the parsers.

pub mod commands;
pub mod failure;
pub mod input;
pub mod output;
pub mod passages;
pub mod table;
pub mod trec;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

#[cfg(feature = "bench")]
use commands::bench;
#[cfg(feature = "serve")]
use commands::serve;
use commands::{compare, convert, embed, eval, inspect, models, rerank, tokenize};
use failure::Failure;

/// Rerank search results with a small cross-encoder on an ordinary CPU
#[derive(Debug, Parser)]
#[command(name = "lanerank", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Rerank(rerank::RerankArgs),
    Convert(convert::ConvertArgs),
    Inspect(inspect::InspectArgs),
    Tokenize(tokenize::TokenizeArgs),
    Embed(embed::EmbedArgs),
    Eval(eval::EvalArgs),
    Compare(compare::CompareArgs),
    Models(models::ModelsArgs),
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    #[cfg(feature = "serve")]
    Serve(Box<serve::ServeArgs>),
}

/// Runs the command line and returns the exit code: 0 for success, 1 for work that failed, 2 for
/// wrong usage or input. One line on standard error names the reason.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => return usage(&e),
    };
    exit_code(run(&cli.command))
}

/// Reports a failure on standard error and returns the exit code, as [`main`] does.
pub fn exit_code(ran: Result<(), Failure>) -> u8 {
    match ran {
        Ok(()) => 0,
        Err(failure) => {
            let code = failure.exit_code();
            if code != 0 {
                output::notice(failure);
            }
            code
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Rerank(args) => rerank::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Tokenize(args) => tokenize::run(args),
        Command::Embed(args) => embed::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Models(args) => models::run(args),
        #[cfg(feature = "bench")]
        Command::Bench(args) => bench::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args),
    }
}

/// Prints the requested help or version, or one line that says what is wrong with the arguments.
fn usage(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that closed the pipe has seen enough.
            let _ = error.print();
            0
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            output::notice("no command; see `lanerank --help`");
            2
        }
        _ => {
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = what.split_whitespace().collect();
            let line = words.join(" ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            output::notice(format!("{line}; see `lanerank --help`"));
            2
        }
    }
}
