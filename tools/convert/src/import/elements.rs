//! Types of tensor elements in files, little-endian, and their conversion to f32.

use half::{bf16, f16};

/// Appends each element in the bytes as f32.
pub(super) type Convert = fn(&[u8], &mut Vec<f32>);

/// Types of elements, with the names of safetensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Element::F64 | Element::I64 => 8,
            Element::F32 | Element::I32 => 4,
            Element::F16 | Element::Bf16 | Element::I16 => 2,
            Element::I8 | Element::U8 | Element::Bool => 1,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Element::F64 => "F64",
            Element::F32 => "F32",
            Element::F16 => "F16",
            Element::Bf16 => "BF16",
            Element::I64 => "I64",
            Element::I32 => "I32",
            Element::I16 => "I16",
            Element::I8 => "I8",
            Element::U8 => "U8",
            Element::Bool => "BOOL",
        }
    }

    /// The conversion to f32; `None` for types that weights do not have.
    pub(super) fn convert(self) -> Option<Convert> {
        Some(match self {
            Element::F32 => |bytes, out| extend(bytes, out, f32::from_le_bytes),
            Element::F16 => |bytes, out| extend(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            Element::Bf16 => |bytes, out| extend(bytes, out, |b| bf16::from_le_bytes(b).to_f32()),
            Element::F64 => |bytes, out| extend(bytes, out, |b| f64::from_le_bytes(b) as f32),
            _ => return None,
        })
    }
}

fn extend<const N: usize>(bytes: &[u8], out: &mut Vec<f32>, value: fn([u8; N]) -> f32) {
    let (elements, _) = bytes.as_chunks::<N>();
    out.extend(elements.iter().map(|&element| value(element)));
}

/// Why a tensor of this type is refused.
pub(super) fn no_weight(dtype: &str) -> String {
    format!("dtype {dtype}; F32, F16, BF16 and F64 can be read")
}
