//! `lanerank serve`: scores over HTTP.

use std::path::Path;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use lanerank_server::{ServeError, ServeOptions, ServeSettings};

use super::arguments::model::resolve;
use crate::failure::Failure;

const ABOUT: &str =
    "Answer HTTP requests: the rerank routes of TEI, Cohere and Jina, and OpenAI's embeddings";
const MORE: &str = "\
Answer HTTP requests: the rerank routes of TEI, Cohere and Jina, and OpenAI's embeddings

Every flag can also be set by the environment variable shown with it, and by the key of the same \
name in the TOML file that --config names. Flags take precedence over the environment, and the \
environment over the file.";

/// The server's options. There are many, so they are built only for this command; the others start
/// faster without them.
#[derive(Debug)]
pub struct ServeArgs(ServeOptions);

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        fn describe(command: Command) -> Command {
            command.about(ABOUT).long_about(MORE)
        }
        describe(command).defer(|command| describe(ServeOptions::augment_args(command)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        ServeOptions::augment_args_for_update(command)
    }
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        ServeOptions::from_arg_matches(matches).map(ServeArgs)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Runs the command until a signal ends it.
///
/// # Errors
/// When a setting is wrong, a model cannot be opened, or an address cannot be had.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let options = args.0.clone().with_file()?;
    let resolve = |name: &str| resolve(Path::new(name)).map_err(|e| e.to_string());
    Ok(lanerank_server::run(ServeSettings::new(options, resolve)?)?)
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Config(_) | ServeError::Model { .. } => Failure::Usage(error.to_string()),
            _ => Failure::Failed(error.to_string()),
        }
    }
}
