//! The layout of the cache, which is that of `huggingface_hub`:
//!
//! ```text
//! models--org--name/blobs/<digest>              contents
//! models--org--name/refs/<branch or tag>        the commit it was last seen at
//! models--org--name/snapshots/<commit>/<file>   relative links into blobs
//! models--org--name/.no_exist/<commit>/<file>   empty: the commit has no such file
//! .locks/models--org--name/<digest>.lock        held while the blob is fetched
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::HubError;
use super::digest::Digest;

/// One repository's folder.
pub(super) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

/// The folder's name.
pub(super) fn folder_name(repository: &str) -> String {
    format!("models--{}", repository.replace('/', "--"))
}

/// Whether this is a commit rather than a branch or tag.
pub(super) fn is_commit(revision: &str) -> bool {
    matches!(Digest::parse(revision), Some(Digest::Git(_)))
}

impl Repository {
    pub(super) fn new(cache: &Path, repository: &str) -> Self {
        let name = folder_name(repository);
        Repository {
            folder: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit of a revision when it was last looked up.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let mut text = String::new();
        let file = File::open(self.folder.join("refs").join(revision)).ok()?;
        file.take(64).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.as_str())
    }

    /// Whether the commit is known to have no such file.
    pub(super) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).is_file()
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    pub(super) fn mark_absent(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let path = self.absence(commit, file);
        create_parent(&path)?;
        File::create(&path).map_err(HubError::disk(&path))?;
        Ok(())
    }

    /// Records the commit of a branch or tag.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        create_parent(&path)?;
        replace(&path, |temporary| fs::write(temporary, commit))
    }

    /// Links the snapshot's file to the blob: a relative link, or a copy where links are not
    /// possible.
    pub(super) fn link(&self, commit: &str, file: &str, digest: &Digest) -> Result<(), HubError> {
        let path = self.snapshot(commit).join(file);
        let up = "../".repeat(2 + file.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{}", digest.as_str()));
        if fs::read_link(&path).is_ok_and(|link| link == target) {
            return Ok(());
        }
        create_parent(&path)?;
        let blob = self.blob(digest);
        replace(&path, |temporary| {
            symlink(&target, temporary).or_else(|_| {
                fs::copy(&blob, temporary)?;
                File::open(temporary)?.sync_all()
            })
        })
    }

    /// Waits until no other process downloads this blob. The lock is held until the file is
    /// dropped.
    pub(super) fn lock(&self, digest: &Digest) -> Result<File, HubError> {
        let path = self.locks.join(format!("{}.lock", digest.as_str()));
        Ok(crate::cache::lock(&path)?)
    }

    /// Removes the repository with all its revisions.
    pub(super) fn remove(&self) -> Result<(), HubError> {
        for folder in [&self.folder, &self.locks] {
            remove_folder(folder)?;
        }
        Ok(())
    }
}

pub(super) fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(HubError::disk(parent))
}

/// Removes a folder if it exists. A link to a folder is left alone: the user made it.
pub(super) fn remove_folder(folder: &Path) -> Result<(), HubError> {
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(folder).map_err(HubError::disk(folder)),
        Ok(_) => Err(HubError::disk(folder)(io::Error::other(
            "is not a folder; not removed",
        ))),
        Err(_) => Ok(()),
    }
}

/// Creates a file next to `path` and renames it, so that `path` appears whole or not at all.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), HubError> {
    // A name that no other thread or process uses.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{count}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    // Left behind by a killed process with the same id.
    let _ = fs::remove_file(&temporary);
    let made = make(&temporary).and_then(|()| fs::rename(&temporary, path));
    made.map_err(|source| {
        let _ = fs::remove_file(&temporary);
        HubError::disk(path)(source)
    })
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
