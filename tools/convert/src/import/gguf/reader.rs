//! The GGUF format: metadata as keys with typed values, then the place of each tensor, then the
//! tensors. Versions 2 and 3, little-endian.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use half::f16;

use super::super::archive::ReadSeek;
use super::super::budget::{Budget, LONGEST_TEXT};
use super::super::elements::Element;
use super::super::files::Opened;
use super::super::stream::Stream;

const MAX_DIMS: u32 = 4;
/// Elements per scale in Q8_0, and the bytes they take.
const BLOCK: usize = 32;
const BLOCK_BYTES: usize = 2 + BLOCK;

/// A value of the metadata. Numbers of all widths have one variant. Arrays of other types than
/// texts and integers are skipped.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Ints(Vec<i64>),
    Other,
}

/// Format of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Plain(Element),
    /// 8-bit integers in blocks of 32 with an f16 scale each.
    Q8_0,
}

impl Stored {
    fn of(number: u32) -> Result<Self, String> {
        let other = match number {
            0 => return Ok(Stored::Plain(Element::F32)),
            1 => return Ok(Stored::Plain(Element::F16)),
            8 => return Ok(Stored::Q8_0),
            28 => return Ok(Stored::Plain(Element::F64)),
            30 => return Ok(Stored::Plain(Element::Bf16)),
            2 => "Q4_0",
            3 => "Q4_1",
            6 => "Q5_0",
            7 => "Q5_1",
            10 => "Q2_K",
            11 => "Q3_K",
            12 => "Q4_K",
            13 => "Q5_K",
            14 => "Q6_K",
            _ => "",
        };
        let name = match other {
            "" => format!("type {number}"),
            name => name.to_owned(),
        };
        Err(format!(
            "{name} is not supported; F32, F16, BF16 and Q8_0 are, and lose less"
        ))
    }

    /// Bytes of `n` elements in rows of `width`.
    fn bytes(self, count: u64, width: u64) -> Option<u64> {
        match self {
            Stored::Plain(element) => count.checked_mul(element.size() as u64),
            Stored::Q8_0 if width.is_multiple_of(BLOCK as u64) => {
                (count / BLOCK as u64).checked_mul(BLOCK_BYTES as u64)
            }
            Stored::Q8_0 => None,
        }
    }
}

/// The place of a tensor.
#[derive(Debug)]
pub(super) struct Tensor {
    /// Row-major. The file lists the dimensions in reverse order.
    pub shape: Vec<usize>,
    stored: Stored,
    start: u64,
    bytes: u64,
}

/// A GGUF file's metadata and tensors, under the file's own names.
pub(super) struct Reader {
    pub metadata: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Tensor>,
    file: Box<dyn ReadSeek>,
}

impl Reader {
    /// Reads everything except the tensors' elements.
    ///
    /// # Errors
    /// When the file is invalid; names the key or tensor.
    pub(super) fn open(mut file: Opened) -> Result<Self, String> {
        let mut stream = Counted {
            stream: Stream::new(&mut file.reader, file.len.min(LONGEST_TEXT)),
            budget: file.budget,
        };
        if stream.array()? != *b"GGUF" {
            return Err("not a GGUF file".into());
        }
        let version = u32::from_le_bytes(stream.array()?);
        if !matches!(version, 2 | 3) {
            return Err(format!(
                "GGUF version {version}; only 2 and 3, little-endian, are supported"
            ));
        }
        let tensor_count = u64::from_le_bytes(stream.array()?);
        let key_count = u64::from_le_bytes(stream.array()?);
        let mut metadata = BTreeMap::new();
        for number in 0..key_count {
            let (key, value) = entry(&mut stream).map_err(|e| format!("key {number}: {e}"))?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(format!("key {key:?} occurs twice"));
            }
        }
        let mut infos = Vec::new();
        for number in 0..tensor_count {
            infos.push(info(&mut stream).map_err(|e| format!("tensor {number}: {e}"))?);
        }
        let start = stream.stream.position();
        let tensors = place(infos, start, file.len, alignment(&metadata)?)?;
        Ok(Reader {
            metadata,
            tensors,
            file: file.reader,
        })
    }

    /// A tensor's elements, row-major.
    ///
    /// # Errors
    /// When the file cannot be read. `None` if there is no such tensor.
    pub(super) fn read(&mut self, name: &str) -> Option<io::Result<Vec<f32>>> {
        let tensor = self.tensors.get(name)?;
        Some(elements(&mut self.file, tensor))
    }
}

fn elements(file: &mut Box<dyn ReadSeek>, tensor: &Tensor) -> io::Result<Vec<f32>> {
    file.seek(SeekFrom::Start(tensor.start))?;
    let mut bytes = Vec::new();
    file.take(tensor.bytes).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != tensor.bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut values = Vec::with_capacity(tensor.shape.iter().product());
    match tensor.stored {
        Stored::Plain(element) => {
            let convert = element.convert().ok_or(io::ErrorKind::InvalidData)?;
            convert(&bytes, &mut values);
        }
        Stored::Q8_0 => {
            for block in bytes.as_chunks::<BLOCK_BYTES>().0 {
                let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                values.extend(block[2..].iter().map(|&q| scale * f32::from(q as i8)));
            }
        }
    }
    Ok(values)
}

/// The file up to the tensors' elements, and what may be held of it.
struct Counted<R> {
    stream: Stream<R>,
    budget: Budget,
}

impl<R: Read> Counted<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.stream.array()
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.stream.byte()
    }

    /// A text. Texts may be pieces of the vocabulary, and names in tables.
    fn text(&mut self) -> Result<String, String> {
        let len = u64::from_le_bytes(self.array()?);
        if len > self.stream.left() {
            return Err(format!("a text of {len} bytes"));
        }
        self.budget.values(1, len as usize)?;
        self.budget.push::<u8>(len as usize)?;
        String::from_utf8(self.stream.bytes(len)?).map_err(|_| "a text is not UTF-8".into())
    }
}

fn entry<R: Read>(stream: &mut Counted<R>) -> Result<(String, Value), String> {
    let key = stream.text()?;
    let kind = u32::from_le_bytes(stream.array()?);
    let value = match kind {
        9 => array(stream),
        _ => scalar(stream, kind),
    };
    let value = value.map_err(|reason| format!("{key}: {reason}"))?;
    Ok((key, value))
}

fn scalar<R: Read>(stream: &mut Counted<R>, kind: u32) -> Result<Value, String> {
    Ok(match kind {
        0 => Value::Int(stream.byte()?.into()),
        1 => Value::Int(i8::from_le_bytes(stream.array()?).into()),
        2 => Value::Int(u16::from_le_bytes(stream.array()?).into()),
        3 => Value::Int(i16::from_le_bytes(stream.array()?).into()),
        4 => Value::Int(u32::from_le_bytes(stream.array()?).into()),
        5 => Value::Int(i32::from_le_bytes(stream.array()?).into()),
        6 => Value::Float(f32::from_le_bytes(stream.array()?).into()),
        7 => Value::Bool(stream.byte()? != 0),
        8 => Value::Text(stream.text()?),
        10 => {
            let number = u64::from_le_bytes(stream.array()?);
            Value::Int(i64::try_from(number).map_err(|_| format!("{number} is too large"))?)
        }
        11 => Value::Int(i64::from_le_bytes(stream.array()?)),
        12 => Value::Float(f64::from_le_bytes(stream.array()?)),
        other => return Err(format!("a value of type {other}")),
    })
}

fn array<R: Read>(stream: &mut Counted<R>) -> Result<Value, String> {
    let kind = u32::from_le_bytes(stream.array()?);
    let count = u64::from_le_bytes(stream.array()?);
    if kind == 9 {
        return Err("an array of arrays".into());
    }
    let (mut texts, mut ints) = (Vec::new(), Vec::new());
    for _ in 0..count {
        match scalar(stream, kind)? {
            Value::Text(text) => texts.push(text),
            Value::Int(int) => {
                stream.budget.push::<i64>(2)?;
                ints.push(int);
            }
            _ => {}
        }
    }
    Ok(match kind {
        8 => Value::Texts(texts),
        6 | 7 | 12 => Value::Other,
        _ => Value::Ints(ints),
    })
}

/// Name, dimensions, type and offset, as in the file.
type Info = (String, Vec<u64>, Stored, u64);

fn info<R: Read>(stream: &mut Counted<R>) -> Result<Info, String> {
    let name = stream.text()?;
    stream.budget.push::<(Info, Tensor)>(1)?;
    let dims = u32::from_le_bytes(stream.array()?);
    if dims > MAX_DIMS {
        return Err(format!("{name}: {dims} dimensions"));
    }
    let mut shape = Vec::new();
    for _ in 0..dims {
        shape.push(u64::from_le_bytes(stream.array()?));
    }
    let stored = Stored::of(u32::from_le_bytes(stream.array()?));
    let stored = stored.map_err(|reason| format!("{name}: {reason}"))?;
    Ok((name, shape, stored, u64::from_le_bytes(stream.array()?)))
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, String> {
    match metadata.get("general.alignment") {
        None => Ok(32),
        Some(&Value::Int(n)) if (8..=65536).contains(&n) && n.count_ones() == 1 => Ok(n as u64),
        Some(other) => Err(format!("general.alignment: {other:?}")),
    }
}

/// Checks that all tensors are within the file, aligned and disjoint.
fn place(
    mut infos: Vec<Info>,
    end_of_infos: u64,
    file_len: u64,
    alignment: u64,
) -> Result<BTreeMap<String, Tensor>, String> {
    infos.sort_by_key(|(.., offset)| *offset);
    let data = end_of_infos.next_multiple_of(alignment);
    let mut tensors = BTreeMap::new();
    let mut end = data;
    for (name, dims, stored, offset) in infos {
        let wrong = |reason: String| format!("tensor {name:?}: {reason}");
        let count = dims.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim));
        let width = dims.first().copied().unwrap_or(1);
        let bytes = count.and_then(|count| stored.bytes(count, width));
        let bytes = bytes.ok_or_else(|| wrong(format!("shape {dims:?} of {stored:?}")))?;
        let start = data.checked_add(offset);
        let range = start.and_then(|start| Some((start, start.checked_add(bytes)?)));
        let (start, to) = range.filter(|&(_, to)| to <= file_len).ok_or_else(|| {
            wrong(format!(
                "{bytes} bytes from {offset} on are not in the file"
            ))
        })?;
        if start < end || !offset.is_multiple_of(alignment) {
            return Err(wrong(format!(
                "offset {offset} is in another tensor or not aligned"
            )));
        }
        end = to;
        let shape: Option<Vec<usize>> = dims
            .iter()
            .rev()
            .map(|&d| usize::try_from(d).ok())
            .collect();
        let tensor = Tensor {
            shape: shape.ok_or_else(|| wrong("is too large for this machine".into()))?,
            stored,
            start,
            bytes,
        };
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(wrong("occurs twice".into()));
        }
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests;
