//! Little-endian reads. Past the end of a slice there are zeros, so that a damaged file gives wrong
//! values, never a panic.

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    if let Some(&array) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        return array;
    }
    let mut array = [0; N];
    let rest = bytes.get(at..).unwrap_or_default();
    array[..rest.len()].copy_from_slice(rest);
    array
}

/// Two bytes.
pub fn le_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

/// Four bytes.
pub fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

/// Eight bytes.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
