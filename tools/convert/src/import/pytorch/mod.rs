//! `pytorch_model.bin`: a pickle that describes tensors, and their storages in the same zip archive
//! or, before PyTorch 1.6, after the pickle in the same file. No code in it is run.

mod globals;
mod legacy;
mod pickle;

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::path::PathBuf;

use super::archive::{self, Archive, ReadSeek};
use super::budget::Budget;
use super::elements::{Element, no_weight};
use super::error::ImportError;
use super::files::Opened;
use super::names::Naming;
use super::stream::Stream;
use super::weights::Weights;
use crate::error::Error;
use crate::source::TensorSource;
use pickle::{Heap, Tensor, Value};

/// A tensor that lies within its storage.
#[derive(Debug)]
struct View {
    storage: usize,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

#[derive(Debug)]
struct Storage {
    element: Element,
    /// Length in bytes.
    bytes: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// An entry of the archive, by its index.
    Entry(usize),
    /// A position in the file.
    At(u64),
}

enum Container {
    Zip(Box<Archive>),
    Plain(Box<dyn ReadSeek>),
}

/// The tensors of a PyTorch file, under the converter's names.
pub(super) struct PyTorch {
    path: PathBuf,
    container: Container,
    storages: Vec<Storage>,
    tensors: BTreeMap<String, View>,
}

impl PyTorch {
    /// Opens a file and reads its pickle. Checks that each storage exists and contains its tensors.
    ///
    /// # Errors
    /// When the file cannot be read or holds anything except tensors; names it.
    pub(super) fn open(mut file: Opened) -> Result<Self, ImportError> {
        let path = file.path.clone();
        let wrong = |reason: String| ImportError::at(&path, reason);
        let mut start = [0; 2];
        let read = file.reader.read_exact(&mut start);
        read.and_then(|()| file.reader.rewind())
            .map_err(|e| wrong(e.to_string()))?;
        let opened = match start {
            [b'P', b'K'] => open_zip(file.reader, file.len, &file.budget),
            _ => legacy::open(file.reader, file.len, &file.budget),
        };
        let (container, storages, (top, heap)) = opened.map_err(wrong)?;
        let tensors = tensors(&top, &heap, &storages, &file.budget).map_err(wrong)?;
        Ok(PyTorch {
            path,
            container,
            storages,
            tensors,
        })
    }
}

/// The file's container, its storages, and the pickle's result.
type Parts = (Container, Vec<Storage>, (Value, Heap));

fn open_zip(reader: Box<dyn ReadSeek>, len: u64, budget: &Budget) -> Result<Parts, String> {
    let mut archive = Archive::open(reader, len, budget)?;
    let prefix = prefix(&mut archive)?;
    let name = format!("{prefix}data.pkl");
    let pickled = archive.len_of(&name).unwrap_or(0);
    budget.take(pickled)?;
    let program = archive.read(&name).map_err(|e| e.to_string())?;
    let mut stream = Stream::new(&program[..], pickled);
    let (top, heap) = pickle::run(&mut stream, budget)?;
    let mut storages = Vec::new();
    for storage in &heap.storages {
        let key = heap.key(storage);
        // Long names cost time, again for every storage that is named.
        budget.take((prefix.len() + key.len()) as u64)?;
        let entry = format!("{prefix}data/{key}");
        let bytes = storage_bytes(storage, key)?;
        match archive.len_of(&entry) {
            Some(len) if len == bytes => {}
            Some(len) => return Err(format!("{entry}: {len} bytes, not {bytes}")),
            None => return Err(format!("{entry}: missing")),
        }
        // Reading a tensor holds its storage's bytes, its values, and those of the tensor.
        let values = storage.len.saturating_mul(2 * size_of::<f32>() as u64);
        budget
            .check(bytes.saturating_add(values))
            .map_err(|reason| format!("{entry}: {reason}"))?;
        let index = archive.index_of(&entry);
        budget.push::<Storage>(1)?;
        storages.push(Storage {
            element: storage.kind,
            bytes,
            place: Place::Entry(index.ok_or_else(|| format!("{entry}: missing"))?),
        });
    }
    Ok((Container::Zip(Box::new(archive)), storages, (top, heap)))
}

/// Prefix of every name in the archive.
fn prefix(archive: &mut Archive) -> Result<String, String> {
    let is_prefix = |prefix: &&str| prefix.is_empty() || prefix.ends_with('/');
    let prefixes = archive
        .names()
        .filter_map(|name| name.strip_suffix("data.pkl").filter(is_prefix));
    let prefix = match prefixes.collect::<Vec<_>>()[..] {
        [prefix] => prefix.to_owned(),
        [] => return Err("no data.pkl: not a file that torch.save made".into()),
        _ => return Err("several data.pkl".into()),
    };
    if archive.has(&format!("{prefix}constants.pkl")) {
        return Err("TorchScript is a program, not weights; save the model's state_dict".into());
    }
    let order = format!("{prefix}byteorder");
    // The length is checked first, so that nothing long is unpacked.
    let little = |archive: &mut Archive| {
        archive.len_of(&order) == Some(6) && archive.read(&order).is_ok_and(|it| it == b"little")
    };
    if archive.has(&order) && !little(archive) {
        return Err("made on a big-endian machine; save it on a little-endian one".into());
    }
    Ok(prefix)
}

fn storage_bytes(storage: &pickle::Storage, key: &str) -> Result<u64, String> {
    let bytes = storage.len.checked_mul(storage.kind.size() as u64);
    bytes.ok_or_else(|| format!("storage {key:?}: {} elements", storage.len))
}

/// The tensors of the dictionary that the pickle made.
fn tensors(
    top: &Value,
    heap: &Heap,
    storages: &[Storage],
    budget: &Budget,
) -> Result<BTreeMap<String, View>, String> {
    let entries = heap.dict(top);
    let entries = entries.ok_or("is not a dictionary of tensors; save the model's state_dict")?;
    let naming = Naming::of(entries.iter().filter_map(|(key, _)| heap.text(key)))?;
    let mut tensors = BTreeMap::new();
    for (key, value) in entries {
        let name = heap.text(key).ok_or("a tensor whose name is not a text")?;
        let &Value::Tensor(number) = value else {
            return Err(format!(
                "{name:?} is not a tensor: a checkpoint of a training run? Save the model's \
                 state_dict"
            ));
        };
        // The entries of a dictionary may all name one long text.
        budget.push::<u8>(name.len())?;
        budget.push::<(String, View)>(1)?;
        let view = view(&heap.tensors[number], storages);
        let view = view.map_err(|reason| format!("tensor {name:?}: {reason}"))?;
        let name = naming.canonical(name);
        if tensors.insert(name.clone(), view).is_some() {
            return Err(format!("two tensors are both {name:?}"));
        }
    }
    Ok(tensors)
}

/// Checks that a tensor lies within its storage and has at most as many elements.
fn view(tensor: &Tensor, storages: &[Storage]) -> Result<View, String> {
    let storage = storages.get(tensor.storage).ok_or("no storage")?;
    let held = storage.bytes / storage.element.size() as u64;
    let count = tensor
        .shape
        .iter()
        .try_fold(1u64, |n, &dim| n.checked_mul(dim));
    let within = match count {
        Some(0) => Some(0),
        Some(count) if count <= held => {
            let mut dims = tensor.shape.iter().zip(&tensor.stride);
            dims.try_fold(tensor.offset, |last, (&dim, &stride)| {
                last.checked_add((dim - 1).checked_mul(stride)?)
            })
            .filter(|&last| last < held)
        }
        _ => None,
    };
    if within.is_none() {
        return Err(format!(
            "shape {:?}, strides {:?} from {} on exceed a storage of {held}",
            tensor.shape, tensor.stride, tensor.offset
        ));
    }
    let small = |numbers: &[u64]| -> Option<Vec<usize>> {
        numbers.iter().map(|&n| usize::try_from(n).ok()).collect()
    };
    let view = (|| {
        Some(View {
            storage: tensor.storage,
            offset: usize::try_from(tensor.offset).ok()?,
            shape: small(&tensor.shape)?,
            stride: small(&tensor.stride)?,
        })
    })();
    view.ok_or_else(|| format!("shape {:?} is too large for this machine", tensor.shape))
}

impl View {
    /// The elements of the storage from the view's first to its last.
    fn elements(&self) -> Range<usize> {
        if self.shape.contains(&0) {
            return 0..0;
        }
        let steps = self.shape.iter().zip(&self.stride);
        let last = steps.map(|(dim, stride)| (dim - 1) * stride).sum::<usize>();
        self.offset..self.offset + last + 1
    }

    /// The view's elements in row-major order, of those from its first to its last.
    fn gather(&self, elements: &[f32]) -> Vec<f32> {
        let count = self.shape.iter().product();
        let mut index = vec![0; self.shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.stride).map(|(i, s)| i * s).sum();
            values.push(elements.get(at).copied().unwrap_or(f32::NAN));
            for (i, &dim) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < dim {
                    break;
                }
                *i = 0;
            }
        }
        values
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape
            .iter()
            .zip(&self.stride)
            .rev()
            .all(|(&dim, &stride)| {
                let fits = dim == 1 || stride == expected;
                expected *= dim;
                fits
            })
    }
}

impl Container {
    /// Reads bytes of a storage. Tensors may share one: reading all of it for each would take a
    /// time that grows with the square of the file.
    fn read(&mut self, storage: &Storage, part: Range<u64>) -> io::Result<Vec<u8>> {
        match (self, &storage.place) {
            (Container::Zip(archive), &Place::Entry(index)) => {
                if part == (0..storage.bytes) {
                    archive.read_at(index)
                } else {
                    archive.read_part(index, part)
                }
            }
            (Container::Plain(file), &Place::At(start)) => {
                archive::read_part(file, start + part.start..start + part.end)
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Weights for PyTorch {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }
}

impl TensorSource for PyTorch {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|view| view.shape.clone())
    }

    fn read(&mut self, name: &str) -> Result<Vec<f32>, Error> {
        let refuse = |reason: String| Error::Tensor {
            name: name.to_owned(),
            reason,
        };
        let view = self.tensors.get(name);
        let view = view.ok_or_else(|| refuse("missing".to_owned()))?;
        let storage = &self.storages[view.storage];
        let convert = storage.element.convert();
        let convert = convert.ok_or_else(|| refuse(no_weight(storage.element.name())))?;
        let elements = view.elements();
        let size = storage.element.size();
        let part = (elements.start * size) as u64..(elements.end * size) as u64;
        let bytes = self.container.read(storage, part);
        let bytes = bytes.map_err(|source| Error::Io {
            path: self.path.clone(),
            source,
        })?;
        let mut values = Vec::with_capacity(elements.len());
        convert(&bytes, &mut values);
        Ok(if view.is_contiguous() {
            values
        } else {
            view.gather(&values)
        })
    }
}

#[cfg(test)]
mod tests;
