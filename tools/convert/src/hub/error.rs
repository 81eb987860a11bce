//! What can go wrong between a model's name and its files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::import::ImportError;

/// Why a model could not be had from the hub or its cache. Addresses are the hub's own, never the
/// signed ones it redirects to.
#[derive(Debug)]
#[non_exhaustive]
pub enum HubError {
    /// Neither a registered id nor `org/name[@revision]`.
    Id {
        /// What was given.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable has a value that cannot be used.
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
    /// 401: no token, or one the hub does not know. The hub also answers so for a repository that
    /// does not exist.
    Unauthorized {
        /// The address.
        url: String,
    },
    /// 403: the token's owner may not read this, as with a gated model whose terms were not accepted.
    Forbidden {
        /// The address.
        url: String,
    },
    /// 404: no such repository, revision or file.
    NotFound {
        /// The address.
        url: String,
        /// The hub's own word for what is missing, where it has one.
        code: Option<String>,
    },
    /// 429, also after waiting.
    TooManyRequests {
        /// The address.
        url: String,
        /// How long the hub asks to wait.
        retry_after: Option<Duration>,
    },
    /// Any other answer that is not a success, 5xx also after several attempts.
    Status {
        /// The address.
        url: String,
        /// The answer's status.
        status: u16,
    },
    /// No connection, or one that broke.
    Network {
        /// The address.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// A body ended early, again and again.
    Truncated {
        /// The address.
        url: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// A body is not the one that the hub announced.
    Corrupt {
        /// The address.
        url: String,
        /// The digest announced.
        expected: String,
        /// The digest of what came.
        received: String,
    },
    /// An answer that a hub does not give.
    Protocol {
        /// The address.
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
    /// The files are not those of a model that lanerank runs.
    Import(ImportError),
    /// The model could not be converted, or the result not be written.
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

    /// Whether another attempt may do better.
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
            HubError::Status { url, status } => write!(f, "{url}: the hub answered {status}"),
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
            } => write!(
                f,
                "{url}: came with digest {received} instead of {expected}"
            ),
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
