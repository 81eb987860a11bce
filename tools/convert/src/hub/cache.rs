//! The cache's layout, that of `huggingface_hub`:
//!
//! ```text
//! models--org--name/blobs/<digest>              contents
//! models--org--name/refs/<branch or tag>        the commit it was last seen at
//! models--org--name/snapshots/<commit>/<file>   relative links into blobs
//! models--org--name/.no_exist/<commit>/<file>   empty: the commit has no such file
//! .locks/models--org--name/<digest>.lock        held while the blob is fetched
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
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
    pub fn new(cache: &Path, repository: &str) -> Self {
        let name = folder_name(repository);
        Repository {
            folder: cache.join(&name),
            locks: cache.join(".locks").join(name),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The commit that a revision was last seen at.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let mut text = String::new();
        let file = File::open(self.folder.join("refs").join(revision)).ok()?;
        file.take(64).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs").join(digest.as_str())
    }

    /// Whether the commit is known to have no such file.
    pub fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absence(commit, file).is_file()
    }

    fn absence(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    pub fn mark_absent(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let path = self.absence(commit, file);
        create_parent(&path)?;
        File::create(&path).map_err(HubError::disk(&path))?;
        Ok(())
    }

    /// Writes down which commit a branch or tag is at.
    pub fn set_commit(&self, revision: &str, commit: &str) -> Result<(), HubError> {
        if revision == commit || self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        create_parent(&path)?;
        replace(&path, |temporary| fs::write(temporary, commit))
    }

    /// Makes the snapshot's file the blob: a relative link, or a copy where links cannot be made.
    pub fn link(&self, commit: &str, file: &str, digest: &Digest) -> Result<(), HubError> {
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

    /// Waits until nobody else fetches this blob. The lock is held until the file is dropped.
    pub fn lock(&self, digest: &Digest) -> Result<File, HubError> {
        lock(&self.locks.join(format!("{}.lock", digest.as_str())))
    }

    /// Removes the repository with all its revisions.
    pub fn remove(&self) -> Result<(), HubError> {
        for folder in [&self.folder, &self.locks] {
            remove_folder(folder)?;
        }
        Ok(())
    }
}

/// Waits for an exclusive lock on a file of this name.
pub(super) fn lock(path: &Path) -> Result<File, HubError> {
    create_parent(path)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(HubError::disk(path))?;
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) => file.lock(),
        Err(TryLockError::Error(e)) => Err(e),
        Ok(()) => Ok(()),
    };
    match locked {
        // Some network file systems have no locks. Without one the work may be done twice; what is
        // placed is complete all the same.
        Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(HubError::disk(path)(e)),
        _ => Ok(file),
    }
}

pub(super) fn create_parent(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(HubError::disk(parent))
}

/// Removes a folder, where there is one. A link to a folder is somebody's own arrangement.
pub(super) fn remove_folder(folder: &Path) -> Result<(), HubError> {
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(folder).map_err(HubError::disk(folder)),
        Ok(_) => Err(HubError::disk(folder)(io::Error::other(
            "is not a folder; left as it is",
        ))),
        Err(_) => Ok(()),
    }
}

/// Makes something beside `path` and renames it there, so that it is there whole or not at all.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), HubError> {
    // No other thread's name and no other process's.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{count}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    // Left by a process of the same number that was killed.
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
