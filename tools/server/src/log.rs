//! Log lines on standard error. They hold no query, no text and no token unless asked to.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::options::LogFormat;
use crate::{ServeError, Settings};

/// Starts logging, once a process.
///
/// # Errors
/// When the filter is wrong.
pub fn start(settings: &Settings) -> Result<(), ServeError> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|e| ServeError::Config(format!("log: {:?}: {e}", settings.log)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).try_init()
        }
    };
    started.map_err(|e| ServeError::Config(format!("log: {e}")))
}
