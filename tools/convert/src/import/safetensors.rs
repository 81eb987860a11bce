//! Reads safetensors files tensor by tensor: 8 bytes of header length, a JSON header, then the
//! data. At most one tensor is in memory.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::archive::ReadSeek;
use super::budget::LONGEST_TEXT;
use super::elements::{Convert, Element, no_weight};
use super::entries::Entries;
use super::error::ImportError;
use super::files::Opened;
use super::names::Naming;
use super::weights::Weights;
use crate::error::Error;
use crate::source::TensorSource;

/// Bytes converted at once. A multiple of every element size.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

#[derive(Debug)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    /// Position in the file.
    start: u64,
    len: usize,
}

/// The tensors of a safetensors file, under the converter's names.
pub(super) struct SafeTensors {
    path: PathBuf,
    file: Box<dyn ReadSeek>,
    tensors: BTreeMap<String, Tensor>,
}

impl SafeTensors {
    /// Opens a file and checks its header: each tensor is in bounds and as long as its shape says,
    /// tensors do not overlap, and every byte belongs to a tensor.
    ///
    /// # Errors
    /// When the file cannot be read or is invalid; names the tensor.
    pub(super) fn open(file: Opened) -> Result<Self, ImportError> {
        Self::named(file, None)
    }

    /// Opens one of several files, with the naming of all of them.
    ///
    /// # Errors
    /// As [`SafeTensors::open`].
    pub(super) fn named(mut file: Opened, naming: Option<&Naming>) -> Result<Self, ImportError> {
        let path = file.path.clone();
        let wrong = |reason: String| ImportError::at(&path, reason);
        let header = read_header(&mut file.reader, file.len).map_err(wrong)?;
        file.budget.json(&header).map_err(wrong)?;
        let data_start = 8 + header.len() as u64;
        let entries = parse_header(&header).map_err(wrong)?;
        check_layout(&entries, file.len - data_start).map_err(wrong)?;
        let own;
        let naming = match naming {
            Some(naming) => naming,
            None => {
                let names = entries.iter().map(|(name, _)| name.as_str());
                own = Naming::of(names).map_err(wrong)?;
                &own
            }
        };
        let mut tensors = BTreeMap::new();
        for (name, entry) in entries {
            let short = naming.canonical(&name);
            let tensor =
                locate(entry, data_start).map_err(|e| wrong(format!("tensor {name:?}: {e}")))?;
            if tensors.insert(short.clone(), tensor).is_some() {
                return Err(wrong(format!("two tensors are both {short:?}")));
            }
        }
        Ok(SafeTensors {
            path,
            file: file.reader,
            tensors,
        })
    }
}

impl Weights for SafeTensors {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }
}

impl TensorSource for SafeTensors {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|tensor| tensor.shape.clone())
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let refuse = |reason: String| Error::Tensor {
            name: name.to_owned(),
            reason,
        };
        let tensor = self.tensors.get(name);
        let tensor = tensor.ok_or_else(|| refuse("missing".to_owned()))?;
        let (size, convert) =
            converter(&tensor.dtype).ok_or_else(|| refuse(no_weight(&tensor.dtype)))?;
        read_values(&mut self.file, tensor, size, convert).map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })
    }
}

fn read_header(file: &mut dyn Read, file_len: u64) -> Result<Vec<u8>, String> {
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(|e| format!("header length: {e}"))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_TEXT {
        return Err(format!(
            "the header claims {length} bytes; at most {LONGEST_TEXT} are read"
        ));
    }
    if length > file_len.saturating_sub(8) {
        return Err(format!(
            "the header claims {length} bytes in a file of {file_len}"
        ));
    }
    let mut header = Vec::new();
    file.take(length)
        .read_to_end(&mut header)
        .map_err(|e| format!("header: {e}"))?;
    if header.len() as u64 == length {
        Ok(header)
    } else {
        Err("header: ends early".into())
    }
}

/// The tensors in order of their data.
fn parse_header(header: &[u8]) -> Result<Vec<(String, Entry)>, String> {
    let Entries(members) =
        serde_json::from_slice::<Entries<&RawValue>>(header).map_err(|e| format!("header: {e}"))?;
    let mut entries = Vec::with_capacity(members.len());
    for (name, value) in members {
        if name == "__metadata__" {
            continue;
        }
        let entry: Entry = serde_json::from_str(value.get())
            .map_err(|e| format!("header: tensor {name:?}: {e}"))?;
        entries.push((name, entry));
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    Ok(entries)
}

fn check_layout(entries: &[(String, Entry)], data_len: u64) -> Result<(), String> {
    let mut end = 0;
    for (name, entry) in entries {
        let (from, to) = entry.data_offsets;
        let reason = if to < from || to > data_len {
            format!("bytes {from}..{to} of {data_len}")
        } else if from < end {
            format!("bytes {from}..{to} overlap the previous tensor, which ends at {end}")
        } else if from > end {
            format!("bytes {end}..{from} before it belong to no tensor")
        } else {
            end = to;
            continue;
        };
        return Err(format!("tensor {name:?}: {reason}"));
    }
    if end == data_len {
        Ok(())
    } else {
        Err(format!("{} bytes after the last tensor", data_len - end))
    }
}

fn locate(entry: Entry, data_start: u64) -> Result<Tensor, String> {
    let (from, to) = entry.data_offsets;
    let len = to - from;
    if let Some((size, _)) = converter(&entry.dtype) {
        let product = |bytes: u64, &dim: &u64| bytes.checked_mul(dim);
        if entry.shape.iter().try_fold(size as u64, product) != Some(len) {
            return Err(format!(
                "{len} bytes do not hold {} values of shape {:?}",
                entry.dtype, entry.shape
            ));
        }
    }
    let too_large = |_| format!("shape {:?} is too large for this machine", entry.shape);
    let shape = entry.shape.iter().map(|&dim| usize::try_from(dim));
    Ok(Tensor {
        shape: shape.collect::<Result<_, _>>().map_err(too_large)?,
        len: usize::try_from(len).map_err(too_large)?,
        dtype: entry.dtype,
        start: data_start + from,
    })
}

/// Size of an element and its conversion to f32; `None` for dtypes that weights do not have.
fn converter(dtype: &str) -> Option<(usize, Convert)> {
    const FLOATS: [Element; 4] = [Element::F32, Element::F16, Element::Bf16, Element::F64];
    let element = FLOATS.into_iter().find(|element| element.name() == dtype)?;
    Some((element.size(), element.convert()?))
}

fn read_values(
    file: &mut Box<dyn ReadSeek>,
    tensor: &Tensor,
    size: usize,
    convert: Convert,
) -> io::Result<Vec<f32>> {
    file.seek(SeekFrom::Start(tensor.start))?;
    let mut values = Vec::with_capacity(tensor.len / size);
    let mut buffer = vec![0; CHUNK.min(tensor.len)];
    let mut left = tensor.len;
    while left > 0 {
        let chunk = &mut buffer[..left.min(CHUNK)];
        file.read_exact(chunk)?;
        convert(chunk, &mut values);
        left -= chunk.len();
    }
    Ok(values)
}

#[cfg(test)]
mod tests;
