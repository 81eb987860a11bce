//! The command line of lanerank as a library. The binary is one call of [`main`]; tests, fuzzers
//! and other tools use the parsers.

mod candidates;
pub mod commands;
pub mod failure;
pub mod input;
mod missing;
pub mod output;
pub mod passages;
pub mod table;
pub mod texts;
pub mod trec;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

#[cfg(feature = "bench")]
use commands::bench;
#[cfg(feature = "hub")]
use commands::models;
#[cfg(feature = "serve")]
use commands::serve;
#[cfg(feature = "shell")]
use commands::shell;
use commands::{compare, convert, doctor, embed, eval, inspect, rerank, tokenize};
use failure::Failure;
use missing::OPTIONAL;

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
    Embed(embed::EmbedArgs),
    Tokenize(tokenize::TokenizeArgs),
    #[cfg(feature = "serve")]
    Serve(Box<serve::ServeArgs>),
    #[cfg(feature = "hub")]
    Models(models::ModelsArgs),
    Convert(convert::ConvertArgs),
    Inspect(inspect::InspectArgs),
    Eval(eval::EvalArgs),
    Compare(compare::CompareArgs),
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    Doctor(doctor::DoctorArgs),
    #[cfg(feature = "shell")]
    Completions(shell::CompletionsArgs),
    #[cfg(feature = "shell")]
    Man(shell::ManArgs),
}

/// Runs the command line and returns the exit code: 0 for success, 1 for work that failed, 2 for
/// wrong usage or input. One line on standard error names the reason.
pub fn main(args: impl IntoIterator<Item = impl Into<OsString>>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let parsed = command_line()
        .try_get_matches_from(&args)
        .and_then(|matches| {
            let missing = matches.subcommand_name();
            match missing.and_then(|name| missing::find(name, &OPTIONAL)) {
                Some(missing) => Ok(Err(missing.refusal())),
                None => Cli::from_arg_matches(&matches).map(Ok),
            }
        });
    match parsed {
        Ok(cli) => exit_code(cli.and_then(|cli| run(&cli.command))),
        Err(e) => usage(&e, &help_of(&args)),
    }
}

/// The command line, with stand-ins for what this build lacks.
fn command_line() -> clap::Command {
    missing::complete(Cli::command(), &OPTIONAL)
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
        Command::Embed(args) => embed::run(args),
        Command::Tokenize(args) => tokenize::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args),
        #[cfg(feature = "hub")]
        Command::Models(args) => models::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Compare(args) => compare::run(args),
        #[cfg(feature = "bench")]
        Command::Bench(args) => bench::run(args),
        Command::Doctor(args) => doctor::run(args),
        #[cfg(feature = "shell")]
        Command::Completions(args) => shell::completions(args, command_line()),
        #[cfg(feature = "shell")]
        Command::Man(args) => shell::man(args, command_line()),
    }
}

/// The command line that prints the help of the command in `args`.
fn help_of(args: &[OsString]) -> String {
    let mut help = "lanerank".to_owned();
    let top = command_line();
    let mut current = &top;
    for arg in args.iter().skip(1) {
        let Some(next) = arg.to_str().and_then(|name| current.find_subcommand(name)) else {
            break;
        };
        help.push(' ');
        help.push_str(next.get_name());
        current = next;
    }
    help + " --help"
}

/// Prints the requested help or version, or one line that says what is wrong with the arguments.
fn usage(error: &clap::Error, help: &str) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that closed the pipe has seen enough.
            let _ = error.print();
            0
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            output::notice(format!("no command; see `{help}`"));
            2
        }
        _ => {
            let text = error.to_string();
            // The first paragraph is the error. Tips follow, such as a name that is similar.
            let paragraphs = text.split("\n\n").enumerate();
            let told = paragraphs
                .filter(|(i, paragraph)| *i == 0 || paragraph.trim_start().starts_with("tip: "))
                .map(|(_, paragraph)| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
            let line = told.collect::<Vec<_>>().join("; ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            output::notice(format!("{line}; see `{help}`"));
            2
        }
    }
}
