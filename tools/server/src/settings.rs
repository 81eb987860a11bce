//! ServeSettings of a server: [`ServeOptions`] with every default filled in and every value
//! checked.

use std::path::PathBuf;
use std::time::Duration;

use lanerank_requests::OnDeadline;

use crate::error::ServeError;
use crate::options::{LogFormat, ServeOptions};

/// A model to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// The name that requests use.
    pub name: String,
    /// The model file; `None` for the embedded model.
    pub path: Option<PathBuf>,
}

/// Certificate chain and key, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub cert: PathBuf,
    /// The leaf certificate's key.
    pub key: PathBuf,
}

/// ServeSettings of a server, checked.
#[derive(Debug, Clone)]
#[allow(
    missing_docs,
    reason = "each field is documented at the option of the same name"
)]
pub struct ServeSettings {
    pub models: Vec<ModelSource>,
    pub any_model: bool,
    pub listen: Option<String>,
    pub unix: Option<PathBuf>,
    pub tls: Option<TlsFiles>,
    pub tokens: Vec<String>,
    pub threads: usize,
    pub io_threads: usize,
    pub queue: usize,
    pub max_connections: usize,
    pub max_body: usize,
    pub max_documents: usize,
    pub max_tokens: usize,
    pub max_length: Option<usize>,
    pub auto_truncate: bool,
    pub special_tokens_as_text: bool,
    pub deadline: Option<Duration>,
    pub on_deadline: OnDeadline,
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    pub drain_timeout: Duration,
    pub reload_interval: Option<Duration>,
    pub log: String,
    pub log_format: LogFormat,
    pub log_texts: bool,
}

impl ServeSettings {
    /// Fills in the defaults. `resolve` turns a value of `--model` into a file.
    ///
    /// # Errors
    /// [`ServeError::Config`] names the wrong option.
    pub fn new(
        options: ServeOptions,
        resolve: impl Fn(&str) -> Result<PathBuf, String>,
    ) -> Result<ServeSettings, ServeError> {
        let available = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = threads("threads", options.threads.unwrap_or_else(available))?;
        let io_threads = options.io_threads.unwrap_or((threads / 4).max(1));
        let ms = |value: Option<u64>, default| Duration::from_millis(value.unwrap_or(default));
        let unless_zero = |time: Duration| (!time.is_zero()).then_some(time);
        let listen = match (&options.listen, &options.unix) {
            (None, None) => Some("127.0.0.1:8080".to_owned()),
            (listen, _) => listen.clone(),
        };
        Ok(ServeSettings {
            models: models(&options.model, resolve)?,
            any_model: options.any_model.unwrap_or(false),
            tls: tls(&options)?,
            listen,
            tokens: tokens(&options)?,
            threads,
            io_threads: self::threads("io-threads", io_threads)?,
            queue: at_least_one("queue", options.queue.unwrap_or(256))?,
            max_connections: at_least_one(
                "max-connections",
                options.max_connections.unwrap_or(1024),
            )?,
            max_body: options.max_body.unwrap_or(2 << 20),
            max_documents: options.max_documents.unwrap_or(1000),
            max_tokens: options.max_tokens.unwrap_or(1 << 18),
            max_length: options.max_length,
            auto_truncate: options.auto_truncate.unwrap_or(true),
            special_tokens_as_text: options.special_tokens_as_text.unwrap_or(false),
            deadline: unless_zero(ms(options.deadline, 30_000)),
            on_deadline: options.on_deadline.unwrap_or(OnDeadline::Error),
            read_timeout: ms(options.read_timeout, 10_000),
            write_timeout: ms(options.write_timeout, 10_000),
            drain_timeout: ms(options.drain_timeout, 30_000),
            reload_interval: unless_zero(ms(options.reload_interval, 2_000)),
            log: options.log.unwrap_or_else(|| "info".to_owned()),
            log_format: options.log_format.unwrap_or(LogFormat::Text),
            log_texts: options.log_texts.unwrap_or(false),
            unix: options.unix,
        })
    }
}

/// A number of threads, within the library's limit.
fn threads(name: &str, value: usize) -> Result<usize, ServeError> {
    let most = lanerank::max_threads();
    if value > most {
        return Err(ServeError::Config(format!(
            "{name}: {value} is above {most}, the most for the CPUs that this process may use"
        )));
    }
    at_least_one(name, value)
}

fn at_least_one(name: &str, value: usize) -> Result<usize, ServeError> {
    if value == 0 {
        return Err(ServeError::Config(format!(
            "{name}: must be at least 1, not 0"
        )));
    }
    // Far below the limit of the runtime's semaphores.
    Ok(value.min(1 << 20))
}

fn models(
    given: &[String],
    resolve: impl Fn(&str) -> Result<PathBuf, String>,
) -> Result<Vec<ModelSource>, ServeError> {
    if given.is_empty() {
        let name = "default".to_owned();
        return Ok(vec![ModelSource { name, path: None }]);
    }
    let mut models: Vec<ModelSource> = Vec::new();
    for text in given {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (name.to_owned(), file),
            None => (stem(text), text.as_str()),
        };
        if name.is_empty() || file.is_empty() {
            return Err(ServeError::Config(format!(
                "model: {text:?} is not NAME=FILE"
            )));
        }
        if models.iter().any(|model| model.name == name) {
            return Err(ServeError::Config(format!("model: two are named {name:?}")));
        }
        let path = resolve(file).map_err(|e| ServeError::Config(format!("model {name}: {e}")))?;
        models.push(ModelSource {
            name,
            path: Some(path),
        });
    }
    Ok(models)
}

fn stem(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".lane").unwrap_or(name).to_owned()
}

fn tls(options: &ServeOptions) -> Result<Option<TlsFiles>, ServeError> {
    let wrong = |what: &str| Err(ServeError::Config(what.to_owned()));
    match (options.tls_cert.clone(), options.tls_key.clone()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) if options.listen.is_none() && options.unix.is_some() => {
            wrong("tls-cert: HTTPS needs --listen; a Unix socket has none")
        }
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (Some(_), None) => wrong("tls-cert: needs tls-key"),
        (None, Some(_)) => wrong("tls-key: needs tls-cert"),
    }
}

fn tokens(options: &ServeOptions) -> Result<Vec<String>, ServeError> {
    let mut tokens: Vec<String> = options.token.iter().cloned().collect();
    if let Some(path) = &options.token_file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ServeError::Config(format!("token-file: {}: {e}", path.display())))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let before = tokens.len();
        tokens.extend(lines.map(str::to_owned));
        // An empty file must not let everyone in.
        if tokens.len() == before {
            let message = format!("token-file: {}: no token in it", path.display());
            return Err(ServeError::Config(message));
        }
    }
    if tokens.iter().any(|token| token.trim().is_empty()) {
        return Err(ServeError::Config("token: empty".to_owned()));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: ServeOptions) -> Result<ServeSettings, String> {
        let resolve = |file: &str| {
            if file.contains("missing") {
                return Err("no such model".to_owned());
            }
            Ok(PathBuf::from(file))
        };
        ServeSettings::new(options, resolve).map_err(|e| e.to_string())
    }

    #[test]
    fn models_have_names() {
        let options = |models: &[&str]| ServeOptions {
            model: models.iter().map(|m| (*m).to_owned()).collect(),
            ..ServeOptions::default()
        };
        let names = |models: &[&str]| -> Vec<String> {
            let models = settings(options(models)).unwrap().models;
            models.into_iter().map(|model| model.name).collect()
        };
        assert_eq!(names(&[]), ["default"]);
        assert_eq!(names(&["a/b.lane", "c=a/b.lane"]), ["b", "c"]);
        for (models, words) in [
            (&["a.lane", "x/a.lane"][..], "two are named \"a\""),
            (&["=a.lane"], "not NAME=FILE"),
            (&["a=missing"], "model a: no such model"),
        ] {
            let message = settings(options(models)).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn half_of_a_choice_is_refused() {
        let key = ServeOptions {
            tls_key: Some("k.pem".into()),
            ..ServeOptions::default()
        };
        assert!(settings(key).unwrap_err().contains("needs tls-cert"));
        let none = ServeOptions {
            threads: Some(0),
            ..ServeOptions::default()
        };
        assert!(
            settings(none)
                .unwrap_err()
                .contains("threads: must be at least 1")
        );
        let blank = ServeOptions {
            token: Some(" ".into()),
            ..ServeOptions::default()
        };
        assert!(settings(blank).unwrap_err().contains("token"));
    }

    #[test]
    fn a_socket_replaces_the_default_address() {
        assert_eq!(
            settings(ServeOptions::default()).unwrap().listen.as_deref(),
            Some("127.0.0.1:8080")
        );
        let unix = ServeOptions {
            unix: Some("s".into()),
            ..ServeOptions::default()
        };
        assert_eq!(settings(unix).unwrap().listen, None);
    }
}
