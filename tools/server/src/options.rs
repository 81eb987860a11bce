//! What a server can be told: by flags, by environment, by a file. Flags come before the environment,
//! the environment before the file, the file before the defaults of [`Settings`](crate::Settings).

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::ServeError;

/// What becomes of a request that is not done by its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDeadline {
    /// Status 504.
    Error,
    /// The passages scored so far, and how many are missing.
    Partial,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What a server can be told; every field is a flag, an environment variable and a key of the file.
///
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// TOML file with any of these settings, such as `queue = 64` or `model = ["small=a.lane"]`
    #[arg(long, value_name = "FILE", env = "LANERANK_CONFIG")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Model file, or a name that was pulled; with `NAME=` before it, requests reach it by NAME, else
    /// by the file's name without `.lane`. May be given several times: requests that name none get
    /// the first [default: the embedded model, as `default`]
    #[arg(long, short, value_name = "[NAME=]FILE", env = "LANERANK_MODEL")]
    pub model: Vec<String>,

    /// Give requests that name an unknown model the first one, rather than status 404
    #[arg(long, env = "LANERANK_ANY_MODEL", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub any_model: Option<bool>,

    /// Address and port to listen on; port 0 is any free one [default: 127.0.0.1:8080, or none where
    /// --unix is given]
    #[arg(long, short, value_name = "ADDRESS", env = "LANERANK_LISTEN")]
    pub listen: Option<String>,

    /// Unix socket to listen on, made readable and writable for its owner and group only
    #[arg(long, value_name = "PATH", env = "LANERANK_UNIX")]
    pub unix: Option<PathBuf>,

    /// Certificate chain in PEM: HTTPS on --listen, with --tls-key
    #[arg(long, value_name = "FILE", env = "LANERANK_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// Private key in PEM
    #[arg(long, value_name = "FILE", env = "LANERANK_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Bearer token that requests must carry; better in the environment or in --token-file, because
    /// other users of the machine can read flags
    #[arg(
        long,
        value_name = "TOKEN",
        env = "LANERANK_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,

    /// File with bearer tokens, one a line: any of them will do
    #[arg(long, value_name = "FILE", env = "LANERANK_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// Threads that score, one core each [default: as many as this process may use]
    #[arg(long, value_name = "COUNT", env = "LANERANK_THREADS")]
    pub threads: Option<usize>,

    /// Threads that read requests and write answers [default: a quarter of --threads, at least 1]
    #[arg(long, value_name = "COUNT", env = "LANERANK_IO_THREADS")]
    pub io_threads: Option<usize>,

    /// Requests that may be waiting or under way; beyond it status 429 [default: 256]
    #[arg(long, value_name = "REQUESTS", env = "LANERANK_QUEUE")]
    pub queue: Option<usize>,

    /// Connections open at once; others wait to be accepted [default: 1024]
    #[arg(long, value_name = "COUNT", env = "LANERANK_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,

    /// Longest request body in bytes; beyond it status 413 [default: 2097152]
    #[arg(long, value_name = "BYTES", env = "LANERANK_MAX_BODY")]
    pub max_body: Option<usize>,

    /// Most documents or texts of a request; beyond it status 413 [default: 1000]
    #[arg(long, value_name = "COUNT", env = "LANERANK_MAX_DOCUMENTS")]
    pub max_documents: Option<usize>,

    /// Most tokens that a request may make the model compute, the query counted with each document;
    /// beyond it status 413 [default: 262144]
    #[arg(long, value_name = "TOKENS", env = "LANERANK_MAX_TOKENS")]
    pub max_tokens: Option<usize>,

    /// Longest query and passage together, in tokens [default: each model's]
    #[arg(long, value_name = "TOKENS", env = "LANERANK_MAX_LENGTH")]
    pub max_length: Option<usize>,

    /// Whether /rerank cuts what is longer where the request does not say; else status 413
    /// [default: true]
    #[arg(long, value_name = "BOOL", env = "LANERANK_AUTO_TRUNCATE", num_args = 0..=1, default_missing_value = "true")]
    pub auto_truncate: Option<bool>,

    /// Read `[SEP]` and its like in a text as plain text
    #[arg(long, value_name = "BOOL", env = "LANERANK_SPECIAL_TOKENS_AS_TEXT", num_args = 0..=1, default_missing_value = "true")]
    pub special_tokens_as_text: Option<bool>,

    /// Time for a request that does not say itself, from its last byte on; 0 is no limit
    /// [default: 30000]
    #[arg(long, value_name = "MS", env = "LANERANK_DEADLINE")]
    pub deadline: Option<u64>,

    /// What a request gets that is not done by then and does not say itself [default: error]
    #[arg(long, value_enum, env = "LANERANK_ON_DEADLINE")]
    pub on_deadline: Option<OnDeadline>,

    /// Time for a request's head, and again for its body, to arrive [default: 10000]
    #[arg(long, value_name = "MS", env = "LANERANK_READ_TIMEOUT")]
    pub read_timeout: Option<u64>,

    /// Time for requests under way to finish after SIGTERM or SIGINT [default: 30000]
    #[arg(long, value_name = "MS", env = "LANERANK_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<u64>,

    /// How often to look for changed model files; 0 is never, SIGHUP always does [default: 2000]
    #[arg(long, value_name = "MS", env = "LANERANK_RELOAD_INTERVAL")]
    pub reload_interval: Option<u64>,

    /// What to log: error, warn, info, debug, or a filter as tracing-subscriber's EnvFilter reads it
    /// [default: info]
    #[arg(long, value_name = "FILTER", env = "LANERANK_LOG")]
    pub log: Option<String>,

    /// How log lines on standard error look [default: text]
    #[arg(long, value_enum, env = "LANERANK_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Log queries and texts too
    #[arg(long, value_name = "BOOL", env = "LANERANK_LOG_TEXTS", num_args = 0..=1, default_missing_value = "true")]
    pub log_texts: Option<bool>,
}

impl Options {
    /// These options, and those of the file that they name where they leave something open.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has a key that does not exist.
    pub fn with_file(self) -> Result<Options, ServeError> {
        match self.config.clone() {
            Some(path) => Ok(self.or(Self::read(&path)?)),
            None => Ok(self),
        }
    }

    fn read(path: &Path) -> Result<Options, ServeError> {
        let wrong = |e: String| ServeError::Config(format!("{}: {e}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            wrong(format!("line {line}: {}", e.message()))
        })
    }

    fn or(self, file: Options) -> Options {
        Options {
            config: self.config,
            model: match self.model.is_empty() {
                true => file.model,
                false => self.model,
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
        let flags = Options {
            config: Some(path),
            queue: Some(7),
            ..Options::default()
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
        let options = Options {
            config: Some(path),
            ..Options::default()
        };
        let message = options.with_file().unwrap_err().to_string();
        assert!(message.contains("c.toml: line 2: "), "{message}");
        assert!(message.contains("queues"), "{message}");
    }
}
