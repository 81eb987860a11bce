//! Names of models: a registered id, or a repository on the hub.

use std::fmt;
use std::str::FromStr;

use super::HubError;
use super::registry::{self, Registered};

/// Longest part of a repository's name on the hub.
const MAX_PART: usize = 96;
const MAX_REVISION: usize = 200;

/// A model on the hub: `ms-marco-TinyBERT-L-2-v2` (see [`registry`]) or `org/name`, either with
/// `@revision`, a branch, tag or commit.
///
/// ```
/// use lanerank_convert::hub::ModelId;
/// let id: ModelId = "cross-encoder/ms-marco-MiniLM-L6-v2@main".parse()?;
/// assert_eq!((id.repository(), id.revision()), ("cross-encoder/ms-marco-MiniLM-L6-v2", "main"));
/// # Ok::<(), lanerank_convert::hub::HubError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    repository: String,
    revision: String,
    registered: Option<&'static Registered>,
}

impl ModelId {
    /// `org/name` on the hub.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The registry's entry, if the model was named by its id.
    pub fn registered(&self) -> Option<&'static Registered> {
        self.registered
    }

    /// Names under which the repository may be cached: its current name, then its former one.
    pub(super) fn repositories(&self) -> impl Iterator<Item = &str> {
        let former = self.registered.and_then(|entry| entry.former_repository);
        [self.repository.as_str()].into_iter().chain(former)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.registered {
            Some(entry) if entry.revision == self.revision => f.write_str(entry.id),
            Some(entry) => write!(f, "{}@{}", entry.id, self.revision),
            None if self.revision == "main" => f.write_str(&self.repository),
            None => write!(f, "{}@{}", self.repository, self.revision),
        }
    }
}

impl FromStr for ModelId {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let refuse = |reason: &str| HubError::Id {
            id: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, revision) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        if revision.is_some_and(|revision| !is_revision(revision)) {
            return Err(refuse("the revision is not a branch, tag or commit"));
        }
        if let Some(entry) = registry::find(name) {
            return Ok(ModelId {
                repository: entry.repository.to_owned(),
                revision: revision.unwrap_or(entry.revision).to_owned(),
                registered: Some(entry),
            });
        }
        match name.split_once('/') {
            Some((org, name)) if is_part(org) && is_part(name) => {}
            Some(_) => return Err(refuse("not the name of a repository on the hub")),
            None => return Err(refuse(&registry::unknown(name))),
        }
        Ok(ModelId {
            repository: name.to_owned(),
            revision: revision.unwrap_or("main").to_owned(),
            registered: None,
        })
    }
}

/// The hub's rule for users and repositories. It keeps names safe as parts of a path: no `..`, and
/// no `--`, which separates the two parts in the cache.
fn is_part(part: &str) -> bool {
    let ends = |c| part.starts_with(c) || part.ends_with(c);
    (1..=MAX_PART).contains(&part.len())
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !ends('-')
        && !ends('.')
        && !part.contains("--")
        && !part.contains("..")
}

/// What git allows and what a path inside `refs/` can hold.
fn is_revision(revision: &str) -> bool {
    let is_component = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && !part.contains("..")
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
    };
    revision.len() <= MAX_REVISION && revision.split('/').all(is_component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_revisions() {
        let id: ModelId = "org/na_me.v2-x@refs/pr/1".parse().unwrap();
        assert_eq!(
            (id.repository(), id.revision()),
            ("org/na_me.v2-x", "refs/pr/1")
        );
        assert_eq!(id.to_string(), "org/na_me.v2-x@refs/pr/1");
        let id: ModelId = "org/name".parse().unwrap();
        assert_eq!(
            (id.revision(), id.to_string().as_str()),
            ("main", "org/name")
        );
        assert!(id.registered().is_none());
    }

    #[test]
    fn registered_ids_have_their_revision_unless_another_is_named() {
        let id: ModelId = "ms-marco-TinyBERT-L-2-v2".parse().unwrap();
        assert_eq!(id.repository(), "cross-encoder/ms-marco-TinyBERT-L2-v2");
        assert_eq!(id.revision(), id.registered().unwrap().revision);
        assert_eq!(id.to_string(), "ms-marco-TinyBERT-L-2-v2");
        let other: ModelId = "ms-marco-TinyBERT-L-2-v2@main".parse().unwrap();
        assert_eq!(other.revision(), "main");
        assert_eq!(other.to_string(), "ms-marco-TinyBERT-L-2-v2@main");
    }

    #[test]
    fn what_could_leave_the_cache_is_refused() {
        for bad in [
            "",
            "name",
            "/name",
            "org/",
            "../name",
            "org/..",
            "org/a..b",
            "org/a/b",
            "a--b/c",
            "-a/b",
            "a/b.",
            "org/na me",
            "org/n\u{e4}me",
            "org/name@",
            "org/name@../x",
            "org/name@a//b",
            "org/name@/a",
            "org/name@.git",
            "org/name@a b",
            "org/name@a?b",
        ] {
            let error = bad.parse::<ModelId>().unwrap_err();
            assert!(matches!(error, HubError::Id { .. }), "{bad}: {error}");
        }
        let long = format!("org/{}", "x".repeat(97));
        assert!(long.parse::<ModelId>().is_err());
    }
}
