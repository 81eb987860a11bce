//! Log lines on standard error. They hold no token, and no query or text unless `--log-texts` is
//! set.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::error::ServeError;
use crate::options::LogFormat;
use crate::settings::ServeSettings;

/// Starts logging. Call it once per process.
///
/// # Errors
/// When the filter cannot be parsed, or logging has already started.
pub fn start(settings: &ServeSettings) -> Result<(), ServeError> {
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
