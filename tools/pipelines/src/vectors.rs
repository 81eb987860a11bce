//! A collection's vectors, computed once and cached in a file.

use std::fs;
use std::path::{Path, PathBuf};

use lanerank::Encoder;
use lanerank::format::write::write_file;
use lanerank_cli::failure::{Failure, Place};
use lanerank_cli::output;
use sha2::{Digest, Sha256};

use crate::collection::Document;

/// Documents embedded together, so that all threads have work.
const BATCH: usize = 256;

/// Bytes of the digest at the end of a file.
const DIGEST: usize = 32;

/// One vector per document, all of one dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    dimension: usize,
    values: Vec<f32>,
}

impl Vectors {
    /// The vectors in the order of the documents.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimension)
    }
}

/// The cache of vectors: one file per encoder and collection, named by the digests of both, so that
/// a changed model or text never gets stale vectors.
pub struct Cache<'a> {
    /// The folder; created if missing.
    pub folder: &'a Path,
    /// The file that the encoder was read from.
    pub encoder_file: &'a Path,
}

impl Cache<'_> {
    /// The vectors of documents: read from the cache, or computed and cached.
    ///
    /// # Errors
    /// When the encoder's file cannot be read, it computes NaN, or the folder cannot be written.
    pub fn vectors(&self, encoder: &Encoder, documents: &[Document]) -> Result<Vectors, Failure> {
        let path = self.path(documents)?;
        let dimension = encoder.dimension();
        if let Some(values) = read(&path, documents.len() * dimension)? {
            return Ok(Vectors { dimension, values });
        }
        let values = embed(encoder, documents)?;
        fs::create_dir_all(self.folder)
            .map_err(|e| Failure::input(&Place::file(self.folder), e))?;
        write_file(&path, &file_of(&values)).map_err(|e| Failure::library(&path, e))?;
        Ok(Vectors { dimension, values })
    }

    fn path(&self, documents: &[Document]) -> Result<PathBuf, Failure> {
        let place = Place::file(self.encoder_file);
        let encoder = fs::read(self.encoder_file).map_err(|e| Failure::input(&place, e))?;
        let mut texts = Sha256::new();
        for document in documents {
            texts.update((document.text.len() as u64).to_le_bytes());
            texts.update(&document.text);
        }
        let name = |digest: &[u8]| digest[..8].iter().map(|b| format!("{b:02x}")).collect();
        let (encoder, texts): (String, String) =
            (name(&Sha256::digest(encoder)), name(&texts.finalize()));
        Ok(self.folder.join(format!("{encoder}-{texts}.f32")))
    }
}

fn embed(encoder: &Encoder, documents: &[Document]) -> Result<Vec<f32>, Failure> {
    let bar = output::progress(documents.len() as u64, "documents embedded");
    let mut values = Vec::with_capacity(documents.len() * encoder.dimension());
    for batch in documents.chunks(BATCH) {
        let texts: Vec<&str> = batch.iter().map(|d| d.text.as_str()).collect();
        values.extend(encoder.encode(&texts)?.into_iter().flatten());
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(values)
}

/// The numbers, little-endian, followed by the SHA-256 of their bytes.
fn file_of(values: &[f32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest);
    bytes
}

/// The numbers of a file; `None` if it is missing or damaged.
fn read(path: &Path, count: usize) -> Result<Option<Vec<f32>>, Failure> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::input(&Place::file(path), e)),
    };
    if bytes.len() != count * size_of::<f32>() + DIGEST {
        return Ok(None);
    }
    let (numbers, digest) = bytes.split_at(bytes.len() - DIGEST);
    if Sha256::digest(numbers)[..] != *digest {
        return Ok(None);
    }
    let (numbers, _) = numbers.as_chunks::<4>();
    Ok(Some(
        numbers.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_and_what_is_not_whole_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.f32");
        assert_eq!(read(&path, 3).unwrap(), None);
        let values = [1.5, -0.0, f32::MIN_POSITIVE];
        let bytes = file_of(&values);
        fs::write(&path, &bytes).unwrap();
        let back = read(&path, 3).unwrap().unwrap();
        assert!(
            back.iter()
                .zip(values)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
        assert_eq!(read(&path, 4).unwrap(), None);
        for at in [0, 11, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path, 3).unwrap(), None);
        }
        fs::write(&path, &bytes[1..]).unwrap();
        assert_eq!(read(&path, 3).unwrap(), None);
    }
}
