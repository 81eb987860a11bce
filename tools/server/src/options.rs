//! ServeOptions of a server: flags first, then environment variables, then the TOML file. Anything
//! still unset gets the default of [`ServeSettings`](crate::ServeSettings).

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lanerank_requests::OnDeadline;
use serde::Deserialize;

use crate::error::ServeError;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// ServeOptions of a server. Every field is a flag, an environment variable and a key of the file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServeOptions {
    /// TOML file with any of these settings, such as `queue = 64` or `model = ["small=a.lane"]`
    #[arg(long, value_name = "FILE", env = "LANERANK_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Model file, or the name of a pulled model. Requests select it by NAME, or without `NAME=` by
    /// the file's name without `.lane`. Can be repeated; requests that name no model get the first
    /// [default: the embedded model, named `default`]
    #[arg(long, short, value_name = "[NAME=]FILE", env = "LANERANK_MODEL")]
    pub model: Vec<String>,

    /// Use the first model for requests that name an unknown one, instead of status 404
    #[arg(
        long,
        value_name = "BOOL",
        env = "LANERANK_ANY_MODEL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub any_model: Option<bool>,

    /// Address and port to listen on; port 0 takes any free port [default: 127.0.0.1:8080, or none
    /// with --unix]
    #[arg(long, short, value_name = "ADDRESS", env = "LANERANK_LISTEN")]
    pub listen: Option<String>,

    /// Unix socket to listen on, readable and writable by its owner and group only
    #[arg(long, value_name = "PATH", env = "LANERANK_UNIX")]
    pub unix: Option<PathBuf>,

    /// Certificate chain in PEM; with --tls-key it turns on HTTPS for --listen
    #[arg(long, value_name = "FILE", env = "LANERANK_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// Private key in PEM
    #[arg(long, value_name = "FILE", env = "LANERANK_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Bearer token that requests must carry. Prefer the environment variable or --token-file:
    /// other users of the machine can read flags
    #[arg(
        long,
        value_name = "TOKEN",
        env = "LANERANK_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,

    /// File of bearer tokens, one per line; any of them is accepted
    #[arg(long, value_name = "FILE", env = "LANERANK_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Scoring threads, one core each; at most 64 or 4 per core [default: the number of cores this
    /// process may use]
    #[arg(long, value_name = "COUNT", env = "LANERANK_THREADS")]
    pub threads: Option<usize>,

    /// Threads that read requests and write responses; at most 64 or 4 per core [default: a quarter
    /// of --threads, at least 1]
    #[arg(long, value_name = "COUNT", env = "LANERANK_IO_THREADS")]
    pub io_threads: Option<usize>,

    /// Maximum number of requests waiting or running; beyond it status 429 [default: 256]
    #[arg(long, value_name = "REQUESTS", env = "LANERANK_QUEUE")]
    pub queue: Option<usize>,

    /// Maximum number of open connections; for another one an idle connection, or one whose client
    /// does not read, is closed; if all are busy it waits [default: 1024]
    #[arg(long, value_name = "COUNT", env = "LANERANK_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,

    /// Maximum size of a request body in bytes; beyond it status 413 [default: 2097152]
    #[arg(long, value_name = "BYTES", env = "LANERANK_MAX_BODY")]
    pub max_body: Option<usize>,

    /// Maximum number of documents or texts in a request; beyond it status 413 [default: 1000]
    #[arg(long, value_name = "COUNT", env = "LANERANK_MAX_DOCUMENTS")]
    pub max_documents: Option<usize>,

    /// Maximum number of tokens to compute for a request, counting the query once per document;
    /// beyond it status 413 [default: 262144]
    #[arg(long, value_name = "TOKENS", env = "LANERANK_MAX_TOKENS")]
    pub max_tokens: Option<usize>,

    /// Maximum tokens of query and passage together [default: each model's own]
    #[arg(long, value_name = "TOKENS", env = "LANERANK_MAX_LENGTH")]
    pub max_length: Option<usize>,

    /// Whether /rerank truncates longer texts when the request does not say; if not, status 413
    /// [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = "LANERANK_AUTO_TRUNCATE",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub auto_truncate: Option<bool>,

    /// Read special tokens such as `[SEP]` in texts as plain text
    #[arg(
        long,
        value_name = "BOOL",
        env = "LANERANK_SPECIAL_TOKENS_AS_TEXT",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub special_tokens_as_text: Option<bool>,

    /// Deadline of requests that set none, counted from their last byte; 0 for no limit
    /// [default: 30000]
    #[arg(long, value_name = "MS", env = "LANERANK_DEADLINE")]
    pub deadline: Option<u64>,

    /// Answer to a request that misses its deadline and does not say itself [default: error]
    #[arg(long, value_enum, env = "LANERANK_ON_DEADLINE")]
    pub on_deadline: Option<OnDeadline>,

    /// Time limit for a request's head to arrive, and again for its body [default: 10000]
    #[arg(long, value_name = "MS", env = "LANERANK_READ_TIMEOUT")]
    pub read_timeout: Option<u64>,

    /// Time that a client may take nothing of its answer before the connection is closed
    /// [default: 10000]
    #[arg(long, value_name = "MS", env = "LANERANK_WRITE_TIMEOUT")]
    pub write_timeout: Option<u64>,

    /// Time limit for running requests to finish after SIGTERM or SIGINT [default: 30000]
    #[arg(long, value_name = "MS", env = "LANERANK_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<u64>,

    /// Interval between checks for changed model files; 0 for never; SIGHUP always reloads
    /// [default: 2000]
    #[arg(long, value_name = "MS", env = "LANERANK_RELOAD_INTERVAL")]
    pub reload_interval: Option<u64>,

    /// Log level: error, warn, info, debug, or a filter in tracing-subscriber's EnvFilter syntax
    /// [default: info]
    #[arg(long, value_name = "FILTER", env = "LANERANK_LOG")]
    pub log: Option<String>,

    /// Format of log lines on standard error [default: text]
    #[arg(long, value_enum, env = "LANERANK_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Also log queries and texts
    #[arg(
        long,
        value_name = "BOOL",
        env = "LANERANK_LOG_TEXTS",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub log_texts: Option<bool>,
}

impl ServeOptions {
    /// Fills in unset options from the file that `config` names, if any.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has an unknown key.
    pub fn with_file(self) -> Result<ServeOptions, ServeError> {
        match self.config.clone() {
            Some(path) => Ok(self.or(Self::read(&path)?)),
            None => Ok(self),
        }
    }

    fn read(path: &Path) -> Result<ServeOptions, ServeError> {
        let wrong = |e: String| ServeError::Config(format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            wrong(format!("line {line}: {}", e.message()))
        })
    }

    fn or(self, file: ServeOptions) -> ServeOptions {
        ServeOptions {
            config: self.config,
            model: if self.model.is_empty() {
                file.model
            } else {
                self.model
            },
            any_model: self.any_model.or(file.any_model),
            listen: self.listen.or(file.listen),
            unix: self.unix.or(file.unix),
            tls_cert: self.tls_cert.or(file.tls_cert),
            tls_key: self.tls_key.or(file.tls_key),
            token: self.token.or(file.token),
            token_file: self.token_file.or(file.token_file),
            threads: self.threads.or(file.threads),
            io_threads: self.io_threads.or(file.io_threads),
            queue: self.queue.or(file.queue),
            max_connections: self.max_connections.or(file.max_connections),
            max_body: self.max_body.or(file.max_body),
            max_documents: self.max_documents.or(file.max_documents),
            max_tokens: self.max_tokens.or(file.max_tokens),
            max_length: self.max_length.or(file.max_length),
            auto_truncate: self.auto_truncate.or(file.auto_truncate),
            special_tokens_as_text: self.special_tokens_as_text.or(file.special_tokens_as_text),
            deadline: self.deadline.or(file.deadline),
            on_deadline: self.on_deadline.or(file.on_deadline),
            read_timeout: self.read_timeout.or(file.read_timeout),
            write_timeout: self.write_timeout.or(file.write_timeout),
            drain_timeout: self.drain_timeout.or(file.drain_timeout),
            reload_interval: self.reload_interval.or(file.reload_interval),
            log: self.log.or(file.log),
            log_format: self.log_format.or(file.log_format),
            log_texts: self.log_texts.or(file.log_texts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        let text = "queue = 3\nthreads = 5\nmodel = [\"a=b.lane\"]\non-deadline = \"partial\"\n";
        std::fs::write(&path, text).unwrap();
        let flags = ServeOptions {
            config: Some(path),
            queue: Some(7),
            ..ServeOptions::default()
        };
        let both = flags.with_file().unwrap();
        assert_eq!((both.queue, both.threads), (Some(7), Some(5)));
        assert_eq!(both.model, ["a=b.lane"]);
        assert_eq!(both.on_deadline, Some(OnDeadline::Partial));
    }

    #[test]
    fn a_wrong_file_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "queue = 3\nqueues = 5\n").unwrap();
        let options = ServeOptions {
            config: Some(path),
            ..ServeOptions::default()
        };
        let message = options.with_file().unwrap_err().to_string();
        assert!(message.contains("c.toml: line 2: "), "{message}");
        assert!(message.contains("queues"), "{message}");
    }
}
