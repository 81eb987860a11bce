//! Downloads one file from the hub to the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ureq::http::header::CONTENT_RANGE;

use super::HubError;
use super::cache::{Repository, create_parent};
use super::client::{Answer, Client, protocol};
use super::digest::Digest;

const CHUNK: usize = 1 << 16;

/// A file in the hub's listing.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub path: String,
    pub size: u64,
    pub digest: Digest,
}

/// Makes sure that the cache holds the file's blob. Calls `progress` with the number of bytes so
/// far.
pub(super) fn fetch(
    client: &Client,
    url: &str,
    file: &Listed,
    repository: &Repository,
    progress: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    let blob = repository.blob(&file.digest);
    if !is_whole(&blob, file) {
        create_parent(&blob)?;
        let _lock = repository.lock(&file.digest)?;
        // Another process may have downloaded it meanwhile.
        if !is_whole(&blob, file) {
            let part = Part::open(&blob)?;
            fetch_part(client, url, file, part, progress)?;
        }
    }
    progress(file.size);
    Ok(())
}

/// Whether the blob exists and has the content that its name promises.
fn is_whole(blob: &Path, file: &Listed) -> bool {
    fs::metadata(blob).is_ok_and(|found| found.is_file() && found.len() == file.size)
        && file
            .digest
            .same_kind_of(blob)
            .is_ok_and(|found| found == file.digest)
}

/// A partial download in a file, which a later run resumes.
struct Part {
    blob: PathBuf,
    path: PathBuf,
    file: File,
    len: u64,
}

impl Part {
    fn open(blob: &Path) -> Result<Part, HubError> {
        let mut name = blob.file_name().unwrap_or_default().to_os_string();
        name.push(".incomplete");
        let path = blob.with_file_name(name);
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|mut file| Ok((file.seek(SeekFrom::End(0))?, file)));
        let (len, file) = opened.map_err(HubError::disk(&path))?;
        Ok(Part {
            blob: blob.to_path_buf(),
            path,
            file,
            len,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        let written = self.file.write_all(bytes);
        written.map_err(HubError::disk(&self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), HubError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(HubError::disk(&self.path))?;
        self.len = 0;
        Ok(())
    }

    /// Checks the content and renames the file to its digest.
    fn finish(&mut self, url: &str, file: &Listed) -> Result<(), HubError> {
        let disk = |e| HubError::disk(&self.path)(e);
        self.file.sync_all().map_err(disk)?;
        let received = file.digest.same_kind_of(&self.path).map_err(disk)?;
        if received != file.digest {
            self.restart()?;
            return Err(HubError::Corrupt {
                url: url.to_owned(),
                expected: file.digest.as_str().to_owned(),
                received: received.as_str().to_owned(),
            });
        }
        fs::rename(&self.path, &self.blob).map_err(HubError::disk(&self.blob))
    }
}

/// Retries until the file is complete. Each attempt resumes the one before.
fn fetch_part(
    client: &Client,
    url: &str,
    file: &Listed,
    mut part: Part,
    progress: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    let mut retry = client.retry();
    let mut furthest = part.len;
    loop {
        let done =
            receive(client, url, file, &mut part, progress).and_then(|()| part.finish(url, file));
        let Err(error) = done else { return Ok(()) };
        // A server that breaks every connection still gets there if each attempt adds bytes.
        // Starting over or sending garbage is no progress.
        if part.len > furthest {
            furthest = part.len;
            retry.progressed();
        }
        retry.after(error)?;
    }
}

/// One attempt to receive the missing bytes.
fn receive(
    client: &Client,
    url: &str,
    file: &Listed,
    part: &mut Part,
    progress: &mut dyn FnMut(u64),
) -> Result<(), HubError> {
    if part.len > file.size {
        part.restart()?;
    }
    if part.len == file.size {
        return Ok(());
    }
    let answer = request(client, url, file, part)?;
    // One byte more than allowed, to detect a body that is too long.
    let left = (file.size - part.len).saturating_add(1);
    let mut body = answer.response.into_body().into_reader().take(left);
    let mut buffer = vec![0; CHUNK];
    loop {
        progress(part.len.min(file.size));
        let read = body.read(&mut buffer).map_err(|e| HubError::Network {
            url: url.to_owned(),
            reason: format!("broke after {} of {} bytes: {e}", part.len, file.size),
        })?;
        if read == 0 {
            break;
        }
        part.write(&buffer[..read])?;
    }
    match part.len {
        len if len < file.size => Err(HubError::Truncated {
            url: url.to_owned(),
            received: len,
            expected: file.size,
        }),
        len if len > file.size => {
            part.restart()?;
            let reason = format!("more than the {} bytes listed", file.size);
            Err(protocol(url, reason))
        }
        _ => Ok(()),
    }
}

/// Requests the missing bytes. The body of the response continues the partial file.
fn request(client: &Client, url: &str, file: &Listed, part: &mut Part) -> Result<Answer, HubError> {
    let answer = match client.get(url, part.len) {
        // The partial file cannot be resumed.
        Err(HubError::Status { status: 416, .. }) => {
            part.restart()?;
            client.get(url, 0)?
        }
        other => other?,
    };
    if let Some(digest) = answer.etag.as_deref().and_then(Digest::parse)
        && digest != file.digest
    {
        let (header, listing) = (digest.as_str(), file.digest.as_str());
        let reason = format!("its etag is {header}, but the hub lists {listing}");
        return Err(protocol(url, reason));
    }
    if part.len > 0 && !continues_at(&answer.response, part.len) {
        if answer.response.status() == 206 {
            return Err(protocol(url, "not the requested range"));
        }
        part.restart()?;
    }
    Ok(answer)
}

/// Whether the response is the rest from byte `start` on.
fn continues_at<T>(response: &ureq::http::Response<T>, start: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE);
    let range = range.and_then(|value| value.to_str().ok());
    response.status() == 206
        && range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}
