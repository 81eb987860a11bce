//! `lanerank serve`: the same over HTTP.

use std::path::Path;

use clap::Args;
use lanerank_server::{Options, ServeError, Settings};

use super::models;
use crate::failure::Failure;

/// Answer HTTP requests: the rerank routes of TEI, Cohere and Jina, and OpenAI's embeddings
///
/// Every flag can also be set by the environment variable shown with it, and by the key of the same
/// name in the TOML file that --config names. Flags come first, then the environment, then the file.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    options: Options,
}

/// Runs the command until a signal ends it.
///
/// # Errors
/// When a setting is wrong, a model cannot be opened, or an address cannot be had.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let options = args.options.clone().with_file()?;
    let resolve = |name: &str| models::resolve(Path::new(name)).map_err(|e| e.to_string());
    Ok(lanerank_server::run(Settings::new(options, resolve)?)?)
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Io { .. } => Failure::Failed(error.to_string()),
            ServeError::Config(_) | ServeError::Model { .. } => Failure::Usage(error.to_string()),
        }
    }
}
