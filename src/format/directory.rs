//! The directory: content and place of each section of a model file.

use std::fmt;

use byteorder::{ByteOrder, LittleEndian as Le};
use lanerank_kernels::layout;

use super::checksum::xxh64;
use super::header::{HEADER_LEN, Header, to_usize};
use super::storage::ALIGNMENT;
use crate::error::Error;

/// Bytes of a directory entry.
pub const ENTRY_LEN: usize = 128;
/// Longest section name in bytes.
pub const MAX_NAME: usize = 56;
/// Neighbouring values of an int8 table's row that share a scale, where a row has several scales.
pub const GROUP: usize = 32;

/// Type of a section's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dtype {
    /// Bytes in a format of their own.
    U8 = 0,
    /// IEEE single precision.
    F32 = 1,
    /// IEEE half precision.
    F16 = 2,
    /// Signed bytes, quantised weights.
    I8 = 3,
    /// 32-bit integers, column sums.
    I32 = 4,
}

impl Dtype {
    const ALL: [Dtype; 5] = [Dtype::U8, Dtype::F32, Dtype::F16, Dtype::I8, Dtype::I32];

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Dtype::U8 | Dtype::I8 => 1,
            Dtype::F16 => 2,
            Dtype::F32 | Dtype::I32 => 4,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dtype::U8 => "u8",
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::I8 => "int8",
            Dtype::I32 => "i32",
        })
    }
}

/// Order of a section's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// Row-major, nothing added.
    Rows = 0,
    /// A weight matrix, or a stack of them, in the panels that the matrix product of its dtype
    /// reads: see [`lanerank_kernels::layout`].
    Panels = 1,
}

impl Layout {
    const ALL: [Layout; 2] = [Layout::Rows, Layout::Panels];
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Rows => "rows",
            Layout::Panels => "panels",
        })
    }
}

/// One section of a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, unique in the file.
    pub name: String,
    /// Type of its elements.
    pub dtype: Dtype,
    /// Order of its elements.
    pub layout: Layout,
    /// Logical shape, one to four dimensions, without the layout's padding.
    pub shape: Vec<usize>,
    /// Offset of its first byte in the file, a multiple of 64.
    pub offset: usize,
    /// Number of its bytes.
    pub len: usize,
    /// XXH64 of its bytes.
    pub checksum: u64,
}

/// Bytes of a section of this dtype, layout and shape. `None` if the layout does not exist for
/// them or the size overflows.
pub fn section_len(dtype: Dtype, layout: Layout, shape: &[usize]) -> Option<usize> {
    let elements = match (layout, shape) {
        (Layout::Rows, _) => product(shape)?,
        (Layout::Panels, [n, k]) => packed_len(dtype, *n, *k)?,
        (Layout::Panels, [b, n, k]) => packed_len(dtype, *n, *k)?.checked_mul(*b)?,
        (Layout::Panels, _) => return None,
    };
    elements.checked_mul(dtype.size())
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d))
}

fn packed_len(dtype: Dtype, n: usize, k: usize) -> Option<usize> {
    match dtype {
        Dtype::I8 => layout::checked_packed_i8_len(n, k),
        Dtype::F32 | Dtype::F16 => layout::checked_packed_f32_len(n, k),
        Dtype::U8 | Dtype::I32 => None,
    }
}

/// Offset of the first section in a file with `section_count` sections.
pub fn data_start(section_count: usize) -> usize {
    align_up(HEADER_LEN + section_count * ENTRY_LEN)
}

/// The next multiple of 64. Check sizes from a file against its length first.
pub fn align_up(len: usize) -> usize {
    len.next_multiple_of(ALIGNMENT)
}

/// Reads and validates the directory: names, sizes, and that the sections cover the file in order.
/// Gaps may only be as wide as alignment needs, and hold zeros.
///
/// # Errors
/// Names the entry and the field that is wrong.
pub fn parse(file: &[u8], header: &Header) -> Result<Vec<Section>, Error> {
    let sections = parse_start(file, header)?;
    let mut covered = end(header);
    for section in &sections {
        let padding = file.get(covered..section.offset).unwrap_or_default();
        if padding.iter().any(|&b| b != 0) {
            let field = format!("section {}: offset", section.name);
            return Err(Error::format(field, "the padding before it is not zero"));
        }
        covered = section.offset + section.len;
    }
    Ok(sections)
}

/// The end of the directory, which is all that [`parse_start`] needs of a file.
pub fn end(header: &Header) -> usize {
    HEADER_LEN + header.section_count * ENTRY_LEN
}

/// As [`parse`], from the start of a file; does not look at the gaps.
///
/// # Errors
/// Names the entry and the field that is wrong.
pub fn parse_start(file: &[u8], header: &Header) -> Result<Vec<Section>, Error> {
    let (end, len) = (end(header), header.file_len);
    let Some(directory) = file.get(HEADER_LEN..end) else {
        return Err(Error::format(
            "directory",
            format!(
                "{} sections need {end} bytes, the file has {len}",
                header.section_count
            ),
        ));
    };
    if xxh64(directory) != header.directory_checksum {
        return Err(Error::Checksum {
            section: "directory".into(),
        });
    }
    let mut sections: Vec<Section> = Vec::with_capacity(header.section_count);
    let mut covered = end;
    for (i, entry) in directory.as_chunks::<ENTRY_LEN>().0.iter().enumerate() {
        let section = parse_entry(entry, i)?;
        validate_place(&section, covered, len)?;
        covered = section.offset + section.len;
        sections.push(section);
    }
    if covered != len {
        return Err(Error::format(
            "directory",
            format!("sections end at {covered}, the file at {len}"),
        ));
    }
    refuse_duplicates(&sections)?;
    Ok(sections)
}

fn parse_entry(entry: &[u8; ENTRY_LEN], index: usize) -> Result<Section, Error> {
    let name = parse_name(&entry[..MAX_NAME])
        .ok_or_else(|| Error::format(format!("directory[{index}].name"), "not a name"))?;
    let at = |what: &str| format!("section {name}: {what}");
    let dtype = *Dtype::ALL
        .get(entry[56] as usize)
        .ok_or_else(|| Error::format(at("dtype"), format!("unknown code {}", entry[56])))?;
    let layout = *Layout::ALL
        .get(entry[57] as usize)
        .ok_or_else(|| Error::format(at("layout"), format!("unknown code {}", entry[57])))?;
    let rank = entry[58] as usize;
    if !(1..=4).contains(&rank) {
        return Err(Error::format(at("rank"), format!("{rank} is not in 1..=4")));
    }
    let mut shape = Vec::with_capacity(rank);
    for (d, size) in entry[64..96].as_chunks::<8>().0.iter().enumerate() {
        let size = to_usize(u64::from_le_bytes(*size), || at("shape"))?;
        if d < rank {
            shape.push(size);
        } else if size != 0 {
            return Err(Error::format(at("shape"), "dimension beyond the rank"));
        }
    }
    if entry[59..64].iter().chain(&entry[120..]).any(|&b| b != 0) {
        return Err(Error::format(at("reserved"), "not zero"));
    }
    Ok(Section {
        dtype,
        layout,
        shape,
        offset: to_usize(Le::read_u64(&entry[96..104]), || at("offset"))?,
        len: to_usize(Le::read_u64(&entry[104..112]), || at("length"))?,
        checksum: Le::read_u64(&entry[112..120]),
        name,
    })
}

fn parse_name(bytes: &[u8]) -> Option<String> {
    let len = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let (name, padding) = bytes.split_at(len);
    let legal = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._".contains(b);
    let ok = len > 0 && name.iter().all(legal) && padding.iter().all(|&b| b == 0);
    ok.then(|| name.iter().map(|&b| char::from(b)).collect())
}

fn validate_place(section: &Section, covered: usize, file_len: usize) -> Result<(), Error> {
    let at = |what: &str| format!("section {}: {what}", section.name);
    let expected = section_len(section.dtype, section.layout, &section.shape)
        .ok_or_else(|| Error::format(at("shape"), format!("{:?} cannot be", section.shape)))?;
    if section.len != expected {
        return Err(Error::format(
            at("length"),
            format!("{}, but its shape takes {expected}", section.len),
        ));
    }
    if section.offset != align_up(covered) {
        return Err(Error::format(
            at("offset"),
            format!("{}, but it must be {}", section.offset, align_up(covered)),
        ));
    }
    let end = section.offset.checked_add(section.len);
    if end.is_none_or(|end| end > file_len) {
        return Err(Error::format(
            at("length"),
            format!("{} bytes reach beyond the file's end", section.len),
        ));
    }
    Ok(())
}

fn refuse_duplicates(sections: &[Section]) -> Result<(), Error> {
    let mut names: Vec<&str> = sections.iter().map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::format(
            "directory",
            format!("{} occurs twice", pair[0]),
        )),
        None => Ok(()),
    }
}

/// The entry's bytes.
///
/// # Panics
/// When the name is longer than [`MAX_NAME`] bytes or the shape has more than four dimensions.
pub fn entry_bytes(section: &Section) -> [u8; ENTRY_LEN] {
    let mut entry = [0; ENTRY_LEN];
    entry[..section.name.len()].copy_from_slice(section.name.as_bytes());
    assert!(section.name.len() <= MAX_NAME && section.shape.len() <= 4);
    entry[56] = section.dtype as u8;
    entry[57] = section.layout as u8;
    entry[58] = section.shape.len() as u8;
    for (d, &size) in section.shape.iter().enumerate() {
        Le::write_u64(&mut entry[64 + 8 * d..72 + 8 * d], size as u64);
    }
    Le::write_u64(&mut entry[96..104], section.offset as u64);
    Le::write_u64(&mut entry[104..112], section.len as u64);
    Le::write_u64(&mut entry[112..120], section.checksum);
    entry
}
