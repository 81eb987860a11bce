//! Writes a model file: lay out the sections, fill them, seal, rename into place.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::checksum::xxh64;
use super::directory::{
    self, Dtype, ENTRY_LEN, Layout, MAX_NAME, Section, align_up, data_start, entry_bytes,
    section_len,
};
use super::header::{HEADER_LEN, Header, MAX_SECTIONS};
use super::storage::{ALIGNMENT, AlignedBytes};
use crate::error::Error;

/// The sections of a file to be, in order, without their bytes.
#[derive(Default)]
pub struct Plan {
    sections: Vec<Section>,
}

impl Plan {
    /// Adds a section.
    ///
    /// # Errors
    /// When its name is too long or already taken, or its size overflows.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        dtype: Dtype,
        layout: Layout,
        shape: &[usize],
    ) -> Result<(), Error> {
        let name = name.into();
        let refuse = |reason: String| Error::Argument(format!("section {name}: {reason}"));
        if name.len() > MAX_NAME || self.sections.iter().any(|s| s.name == name) {
            return Err(refuse("the name is too long or occurs twice".into()));
        }
        if self.sections.len() == MAX_SECTIONS {
            return Err(refuse(format!("more than {MAX_SECTIONS} sections")));
        }
        let len = section_len(dtype, layout, shape)
            .ok_or_else(|| refuse(format!("{dtype} {layout} of shape {shape:?} cannot be")))?;
        self.sections.push(Section {
            name,
            dtype,
            layout,
            shape: shape.to_vec(),
            offset: 0,
            len,
            checksum: 0,
        });
        Ok(())
    }

    /// Reserves the file's bytes, all sections zero.
    ///
    /// # Errors
    /// When the file would be larger than this machine can address.
    pub fn lay_out(mut self) -> Result<Draft, Error> {
        let mut end = data_start(self.sections.len());
        for section in &mut self.sections {
            section.offset = align_up(end);
            end = section
                .offset
                .checked_add(section.len)
                .filter(|&end| end <= MAX_FILE)
                .ok_or_else(|| Error::Argument("the model file would be too large".into()))?;
        }
        Ok(Draft {
            bytes: AlignedBytes::zeroed(end),
            sections: self.sections,
        })
    }
}

/// Longest file: fits an allocation once its length is rounded up to [`ALIGNMENT`].
pub(crate) const MAX_FILE: usize = isize::MAX as usize - ALIGNMENT;

/// A model file in memory whose sections are being filled.
pub struct Draft {
    bytes: AlignedBytes,
    sections: Vec<Section>,
}

impl Draft {
    /// Reopens a sealed file to change its sections. The converter computes the self-test's logits with
    /// the file and then stores them in it.
    ///
    /// # Errors
    /// If the header or the directory is wrong.
    pub fn reopen(bytes: AlignedBytes) -> Result<Draft, Error> {
        let sections = directory::parse(&bytes, &Header::parse(&bytes)?)?;
        Ok(Draft { bytes, sections })
    }

    /// The bytes of a planned section.
    ///
    /// # Errors
    /// When no section of that name was planned.
    pub fn section_mut(&mut self, name: &str) -> Result<&mut [u8], Error> {
        let found = self.sections.iter().find(|s| s.name == name);
        let section =
            found.ok_or_else(|| Error::Argument(format!("section {name} was not planned")))?;
        let range = section.offset..section.offset + section.len;
        Ok(&mut self.bytes.as_mut_slice()[range])
    }

    /// Fills a planned section.
    ///
    /// # Errors
    /// When no section of that name and length was planned.
    pub fn fill(&mut self, name: &str, content: &[u8]) -> Result<(), Error> {
        let section = self.section_mut(name)?;
        if section.len() != content.len() {
            return Err(Error::Argument(format!(
                "section {name}: {} bytes for {}",
                content.len(),
                section.len()
            )));
        }
        section.copy_from_slice(content);
        Ok(())
    }

    /// Computes the checksums, writes directory and header, and returns the finished file.
    pub fn seal(mut self) -> AlignedBytes {
        self.write_directory();
        self.bytes
    }

    fn write_directory(&mut self) {
        for (i, section) in self.sections.iter_mut().enumerate() {
            section.checksum = xxh64(&self.bytes[section.offset..section.offset + section.len]);
            let at = HEADER_LEN + i * ENTRY_LEN;
            self.bytes.as_mut_slice()[at..at + ENTRY_LEN].copy_from_slice(&entry_bytes(section));
        }
        let directory = HEADER_LEN..HEADER_LEN + self.sections.len() * ENTRY_LEN;
        let header = Header {
            section_count: self.sections.len(),
            file_len: self.bytes.len(),
            directory_checksum: xxh64(&self.bytes[directory]),
        };
        self.bytes.as_mut_slice()[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    }
}

/// Writes a file atomically: a temporary file in the same folder, flushed to disk, then renamed.
/// Readers see either the old content or all of the new one.
///
/// # Errors
/// When the folder or the disk refuses. The temporary file is removed.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = temporary_beside(path);
    let written = write_and_rename(&temporary, path, bytes);
    written.map_err(|source| {
        // The first error matters. Removing fails if the file was never created.
        let _ = fs::remove_file(&temporary);
        Error::Io {
            path: path.to_path_buf(),
            source,
        }
    })
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}
