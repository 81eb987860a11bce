//! Constants in the ONNX file or in other files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use half::{bf16, f16};

use super::super::pointer;
use super::proto::TensorProto;
use super::tensor::{Data, Tensor};
use crate::import::budget::Budget;

/// Most bytes of one file. Protocol buffers cannot be longer.
pub(super) const MAX_FILE: u64 = 1 << 31;

/// Most bytes of all external files together.
const MAX_EXTERNAL: u64 = 1 << 32;

/// Element types, by their numbers in `onnx.proto3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
    Bf16,
    F64,
    U8,
    I8,
    I32,
    I64,
    Bool,
}

impl Element {
    /// The type with this number.
    pub(super) fn from_number(number: i32) -> Result<Self, String> {
        Ok(match number {
            1 => Element::F32,
            2 => Element::U8,
            3 => Element::I8,
            6 => Element::I32,
            7 => Element::I64,
            9 => Element::Bool,
            10 => Element::F16,
            11 => Element::F64,
            16 => Element::Bf16,
            _ => {
                let name = match number {
                    4 => "uint16",
                    5 => "int16",
                    8 => "string",
                    12 => "uint32",
                    13 => "uint64",
                    17..=20 => "float8",
                    21 | 22 => "4-bit integer",
                    _ => "unknown",
                };
                return Err(format!(
                    "element type {number} ({name}) is not supported; BERT models have float32, \
                     float16, int8 and uint8 weights"
                ));
            }
        })
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Element::U8 | Element::I8 | Element::Bool => 1,
            Element::F16 | Element::Bf16 => 2,
            Element::F32 | Element::I32 => 4,
            Element::F64 | Element::I64 => 8,
        }
    }

    /// Whether it is one of the floating point types.
    pub(super) fn is_float(self) -> bool {
        matches!(
            self,
            Element::F32 | Element::F16 | Element::Bf16 | Element::F64
        )
    }
}

/// A constant with the bytes of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub element: Element,
    pub shape: Vec<usize>,
    bytes: Bytes,
}

impl Stored {
    /// Takes a constant's bytes from its message or from the file that it names.
    pub(super) fn from_proto(proto: TensorProto, beside: &mut Beside) -> Result<Self, String> {
        let element = Element::from_number(proto.data_type)?;
        let (shape, len) = checked_shape(&proto.dims, element.size())?;
        let bytes = match (proto.data_location, proto.raw_data) {
            (1, _) => beside.read(
                &proto
                    .external_data
                    .iter()
                    .map(|e| (&*e.key, &*e.value))
                    .collect(),
                len,
            )?,
            (0, Some(raw)) => raw,
            (0, None) => typed_bytes(
                element,
                &proto.float_data,
                &proto.int32_data,
                &proto.int64_data,
                &proto.double_data,
            ),
            (other, _) => return Err(format!("data_location {other}")),
        };
        if bytes.len() != len {
            return Err(format!(
                "{} bytes do not hold values of shape {shape:?}, which take {len}",
                bytes.len()
            ));
        }
        Ok(Stored {
            element,
            shape,
            bytes,
        })
    }

    /// Bytes of its values, which are the file's or were computed.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.element.size()
    }

    /// Most bytes of [`Stored::tensor`].
    pub(super) fn unpacked(&self) -> u64 {
        self.len() as u64 * size_of::<i64>() as u64
    }

    /// The values as floats.
    pub(super) fn floats(&self) -> Vec<f32> {
        let b = &self.bytes;
        match self.element {
            Element::F32 => elements(b, f32::from_le_bytes),
            Element::F16 => elements(b, |x| f16::from_le_bytes(x).to_f32()),
            Element::Bf16 => elements(b, |x| bf16::from_le_bytes(x).to_f32()),
            Element::F64 => elements(b, |x| f64::from_le_bytes(x) as f32),
            Element::U8 | Element::Bool => elements(b, |[x]: [u8; 1]| f32::from(x)),
            Element::I8 => elements(b, |x| f32::from(i8::from_le_bytes(x))),
            Element::I32 => elements(b, |x| i32::from_le_bytes(x) as f32),
            Element::I64 => elements(b, |x| i64::from_le_bytes(x) as f32),
        }
    }

    /// The values of an 8-bit tensor, in a type that fits both kinds.
    pub(super) fn small_integers(&self) -> Option<impl Iterator<Item = i16> + '_> {
        let signed = match self.element {
            Element::I8 => true,
            Element::U8 => false,
            _ => return None,
        };
        let value = move |&b: &u8| {
            if signed {
                i16::from(b as i8)
            } else {
                i16::from(b)
            }
        };
        Some(self.bytes.iter().map(value))
    }

    /// The values, for computing.
    pub(super) fn tensor(&self) -> Tensor {
        let b = &self.bytes;
        let data = match self.element {
            Element::I8 => Data::I8(elements(b, i8::from_le_bytes).into()),
            Element::U8 => Data::U8(elements(b, u8::from_le_bytes).into()),
            Element::Bool => Data::I64(elements(b, |[x]: [u8; 1]| i64::from(x != 0)).into()),
            Element::I32 => Data::I64(elements(b, |x| i64::from(i32::from_le_bytes(x))).into()),
            Element::I64 => Data::I64(elements(b, i64::from_le_bytes).into()),
            _ => Data::F32(self.floats().into()),
        };
        Tensor {
            shape: self.shape.clone(),
            data,
        }
    }

    /// One number or several numbers of an attribute.
    pub(super) fn from_tensor(tensor: &Tensor) -> Self {
        fn all<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
            let mut all = Vec::with_capacity(N * values.len());
            values.iter().for_each(|value| all.extend(bytes(value)));
            all
        }
        let (element, bytes) = match &tensor.data {
            Data::F32(v) => (Element::F32, all(v, |x| x.to_le_bytes())),
            Data::I64(v) => (Element::I64, all(v, |x| x.to_le_bytes())),
            Data::I8(v) => (Element::I8, all(v, |x| x.to_le_bytes())),
            Data::U8(v) => (Element::U8, v.to_vec()),
        };
        Stored {
            element,
            shape: tensor.shape.clone(),
            bytes: bytes.into(),
        }
    }
}

fn elements<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| value(chunk)).collect()
}

/// The shape, and its size in bytes.
fn checked_shape(dims: &[i64], size: usize) -> Result<(Vec<usize>, usize), String> {
    let wrong = || format!("shape {dims:?} is not a valid shape of a tensor");
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.ok_or_else(wrong)?;
    let product = |bytes: usize, &dim: &usize| bytes.checked_mul(dim);
    // Without this, a zero would hide a later overflow.
    let nonzero: Vec<usize> = shape.iter().map(|&d| d.max(1)).collect();
    nonzero.iter().try_fold(size, product).ok_or_else(wrong)?;
    let len = shape.iter().try_fold(size, product).ok_or_else(wrong)?;
    Ok((shape, len))
}

/// Values in a field of their own type. Small types use the 32-bit field, one value each.
fn typed_bytes(
    element: Element,
    floats: &[f32],
    ints: &[i32],
    longs: &[i64],
    doubles: &[f64],
) -> Bytes {
    let low = |size: usize| {
        ints.iter()
            .flat_map(move |v| v.to_le_bytes().into_iter().take(size))
    };
    let count = [floats.len(), ints.len(), longs.len(), doubles.len()];
    let most = count.into_iter().max().unwrap_or(0);
    let mut bytes = Vec::with_capacity(most.saturating_mul(element.size()));
    match element {
        Element::F32 => bytes.extend(floats.iter().flat_map(|v| v.to_le_bytes())),
        Element::F64 => bytes.extend(doubles.iter().flat_map(|v| v.to_le_bytes())),
        Element::I64 => bytes.extend(longs.iter().flat_map(|v| v.to_le_bytes())),
        other => bytes.extend(low(other.size())),
    }
    bytes.into()
}

/// External files that hold the values of large constants.
#[derive(Default)]
pub(super) struct Beside {
    /// The folder. Without one there are no such files.
    folder: Option<PathBuf>,
    read: HashMap<String, Bytes>,
    total: u64,
    /// What the graph's reader may hold. External files count as the source's.
    pub budget: Budget,
}

impl Beside {
    /// Files in this folder.
    pub(super) fn folder(folder: &Path) -> Self {
        Beside {
            folder: Some(folder.to_owned()),
            ..Beside::default()
        }
    }

    fn read(&mut self, entries: &HashMap<&str, &str>, len: usize) -> Result<Bytes, String> {
        let location = *entries
            .get("location")
            .ok_or("external data without a location")?;
        let number = |key| match entries.get(key).map(|text| text.parse::<usize>()) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(format!(
                "external data in {location:?}: {key} is not a number"
            )),
        };
        let start = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(len);
        let file = match self.read.get(location) {
            Some(file) => file.clone(),
            None => self.load(location)?,
        };
        let range = start.checked_add(length).filter(|&end| end <= file.len());
        let end = range.ok_or_else(|| {
            format!(
                "external data in {location:?}: {length} bytes from {start} of a file of {}",
                file.len()
            )
        })?;
        Ok(file.slice(start..end))
    }

    fn load(&mut self, location: &str) -> Result<Bytes, String> {
        let wrong = |reason: String| format!("external data in {location:?}: {reason}");
        let path = self.inside(location).map_err(wrong)?;
        let bytes = read_file(&path, MAX_EXTERNAL - self.total).map_err(wrong)?;
        if pointer::is_pointer(&bytes) {
            return Err(wrong(pointer::REASON.into()));
        }
        self.total += bytes.len() as u64;
        self.budget.grow(bytes.len() as u64);
        let bytes = Bytes::from(bytes);
        self.read.insert(location.to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// The file's path, if it is within the folder after following symbolic links.
    fn inside(&self, location: &str) -> Result<PathBuf, String> {
        let folder = self
            .folder
            .as_ref()
            .ok_or("external files cannot be read here")?;
        let relative = Path::new(location);
        let plain = |c| matches!(c, Component::Normal(_) | Component::CurDir);
        if location.contains('\\') || !relative.components().all(plain) {
            return Err("is outside the model's folder; only files in it are read".into());
        }
        let resolve = |path: &Path| fs::canonicalize(path).map_err(|e| e.to_string());
        let (folder, path) = (resolve(folder)?, resolve(&folder.join(relative))?);
        if path.starts_with(&folder) {
            Ok(path)
        } else {
            Err("links to a file outside the model's folder".into())
        }
    }
}

/// Reads a plain file of at most `limit` bytes.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    // Checked before opening: opening a pipe would block.
    let metadata = fs::metadata(path).map_err(|e| e.to_string())?;
    if !metadata.is_file() {
        return Err("not a plain file".into());
    }
    let too_long = || format!("longer than {limit} bytes");
    if metadata.len() > limit {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let file = File::open(path).map_err(|e| e.to_string())?;
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit {
        Err(too_long())
    } else {
        Ok(bytes)
    }
}
