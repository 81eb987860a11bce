//! Checks pointers, lengths and texts from the caller.

use std::fmt;
use std::slice;

use crate::error::{Failure, LanerankStatus};

/// A text in UTF-8. It need not be NUL-terminated, and may contain NULs. data may be NULL if len is
/// 0.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct LanerankText {
    /// The first byte.
    pub data: *const std::ffi::c_char,
    /// The length in bytes.
    pub len: usize,
}

/// The slice at a pointer.
///
/// # Safety
/// If the pointer is neither null nor misaligned and the length is possible, it must point to `len`
/// values that do not change during `'a`.
pub(crate) unsafe fn slice<'a, T>(
    name: &dyn fmt::Display,
    data: *const T,
    len: usize,
) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    check(name, data, len)?;
    // SAFETY: neither null, nor misaligned, nor longer than an object can be; the caller promises
    // the rest.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// The writable slice at a pointer.
///
/// # Safety
/// As [`slice`], and nothing else may use the values during `'a`. They need not be initialised.
pub(crate) unsafe fn slice_mut<'a, T>(
    name: &dyn fmt::Display,
    data: *mut T,
    len: usize,
) -> Result<&'a mut [std::mem::MaybeUninit<T>], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(name, data, len)?;
    // SAFETY: as in `slice`; MaybeUninit has T's layout and may be uninitialised.
    Ok(unsafe { slice::from_raw_parts_mut(data.cast(), len) })
}

fn check<T>(name: &dyn fmt::Display, data: *const T, len: usize) -> Result<(), Failure> {
    if data.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    if !data.is_aligned() {
        return Err(Failure::argument(format!("{name} is misaligned")));
    }
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
        _ => Err(Failure::argument(format!(
            "{name}: {len} is not a possible length"
        ))),
    }
}

impl LanerankText {
    /// The text, if it is UTF-8.
    ///
    /// # Safety
    /// As [`slice`].
    pub(crate) unsafe fn get<'a>(self, name: &dyn fmt::Display) -> Result<&'a str, Failure> {
        // SAFETY: the caller's promise is the same.
        let bytes = unsafe { slice::<u8>(name, self.data.cast(), self.len) }?;
        std::str::from_utf8(bytes).map_err(|e| {
            let reason = format!("{name} is not UTF-8 from byte {}", e.valid_up_to());
            Failure::new(LanerankStatus::Utf8, reason)
        })
    }
}

/// The texts of an array.
///
/// # Safety
/// As [`slice`], for the array and for each text.
pub(crate) unsafe fn texts<'a>(
    name: &str,
    data: *const LanerankText,
    count: usize,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: the caller's promise is the same.
    let texts: &[LanerankText] = unsafe { slice(&name, data, count) }?;
    let texts = texts.iter().enumerate();
    texts
        // SAFETY: as above.
        .map(|(i, text)| unsafe { text.get(&format_args!("{name}[{i}]")) })
        .collect()
}
