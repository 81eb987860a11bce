//! Errors of finding and downloading models.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::CacheError;
use crate::error::Error;
use crate::import::ImportError;

/// Why a model could not be taken from the hub or its cache. URLs are the hub's own, never the
/// signed ones that it redirects to.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a registered id nor `org/name[@revision]`.
    Id {
        /// The name.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable has an invalid value.
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is not in the cache, and `HF_HUB_OFFLINE` forbids the network.
    Offline {
        /// The model.
        model: String,
    },
    /// 401: no token, or an unknown one. The hub gives the same answer for a repository that does
    /// not exist.
    Unauthorized {
        /// The URL.
        url: String,
    },
    /// 403: the token gives no access, for example to a gated model whose terms were not accepted.
    Forbidden {
        /// The URL.
        url: String,
    },
    /// 404: no such repository, revision or file.
    NotFound {
        /// The URL.
        url: String,
        /// The hub's error code, if it sent one.
        code: Option<String>,
    },
    /// 429, even after retries.
    TooManyRequests {
        /// The URL.
        url: String,
        /// The wait that the hub asks for.
        retry_after: Option<Duration>,
    },
    /// Any other status that is not a success; 5xx only after retries.
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The connection failed or broke.
    Network {
        /// The URL.
        url: String,
        /// The reason.
        reason: String,
    },
    /// A body ended early, even after retries.
    Truncated {
        /// The URL.
        url: String,
        /// Bytes received.
        received: u64,
        /// Bytes announced.
        expected: u64,
    },
    /// A body does not have the announced digest.
    Corrupt {
        /// The URL.
        url: String,
        /// The announced digest.
        expected: String,
        /// The digest of the received body.
        received: String,
    },
    /// An invalid answer.
    Protocol {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository holds nothing that can be converted.
    NoModel {
        /// The model.
        model: String,
        /// What is missing.
        reason: String,
    },
    /// The cache could not be read or written: a full disk, a read-only one, missing permission.
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The files are not a model that lanerank runs.
    Import(ImportError),
    /// The model could not be converted, or the file not be written.
    Library(Box<Error>),
}

impl HubError {
    /// For `map_err` on work with a file.
    pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> HubError + '_ {
        |source| HubError::Disk {
            path: path.to_path_buf(),
            source,
        }
    }

    /// Whether a retry may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            HubError::Network { .. }
            | HubError::Truncated { .. }
            | HubError::Corrupt { .. }
            | HubError::TooManyRequests { .. } => true,
            HubError::Status { status, .. } => *status == 408 || *status >= 500,
            _ => false,
        }
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HubError::Id { id, reason } => write!(f, "model {id:?}: {reason}"),
            HubError::Setting { name, reason } => write!(f, "{name}: {reason}"),
            HubError::Offline { model } => write!(
                f,
                "{model} is not in the cache of models, and HF_HUB_OFFLINE forbids the network"
            ),
            HubError::Unauthorized { url } => write!(
                f,
                "{url}: 401, it does not exist or needs a valid token in HF_TOKEN"
            ),
            HubError::Forbidden { url } => write!(
                f,
                "{url}: 403, HF_TOKEN's owner may not read it; a gated model's terms are accepted on \
                 its page"
            ),
            HubError::NotFound { url, code } => match code {
                Some(code) => write!(f, "{url}: 404, {code}"),
                None => write!(f, "{url}: 404, does not exist"),
            },
            HubError::TooManyRequests { url, retry_after } => match retry_after {
                Some(wait) => write!(
                    f,
                    "{url}: 429, too many requests; the hub asks to wait {} seconds",
                    wait.as_secs()
                ),
                None => write!(f, "{url}: 429, too many requests; try again later"),
            },
            HubError::Status { url, status } => write!(f, "{url}: the hub returned {status}"),
            HubError::Network { url, reason } => write!(f, "{url}: {reason}"),
            HubError::Truncated {
                url,
                received,
                expected,
            } => write!(f, "{url}: ended after {received} of {expected} bytes"),
            HubError::Corrupt {
                url,
                expected,
                received,
            } => write!(f, "{url}: received digest {received} instead of {expected}"),
            HubError::Protocol { url, reason } => write!(f, "{url}: {reason}"),
            HubError::NoModel { model, reason } => write!(f, "{model}: {reason}"),
            HubError::Disk { path, source } => write!(f, "{}: {source}", path.display()),
            HubError::Import(e) => write!(f, "{e}"),
            HubError::Library(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for HubError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HubError::Disk { source, .. } => Some(source),
            HubError::Import(e) => Some(e),
            HubError::Library(e) => Some(e),
            _ => None,
        }
    }
}

impl From<ImportError> for HubError {
    fn from(e: ImportError) -> Self {
        HubError::Import(e)
    }
}

impl From<CacheError> for HubError {
    fn from(e: CacheError) -> Self {
        match e {
            CacheError::Disk { path, source } => HubError::Disk { path, source },
            CacheError::Import(e) => HubError::Import(e),
            CacheError::Convert(e) => HubError::Library(Box::new(e)),
        }
    }
}

impl From<lanerank::Error> for HubError {
    fn from(e: lanerank::Error) -> Self {
        HubError::Library(Box::new(e.into()))
    }
}

impl From<Error> for HubError {
    fn from(e: Error) -> Self {
        HubError::Library(Box::new(e))
    }
}
