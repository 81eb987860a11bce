//! Opens and frees models, and reports their settings.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::ptr;

use lanerank::{Builder, Model, Ranker};

use crate::error::{Failure, LanerankStatus, guarded};
use crate::text::slice;

/// An opened model. Any number of threads may use it at once. After fork() a child process must
/// open its own, because it does not have its parent's threads.
pub struct LanerankRanker {
    pub(crate) ranker: Ranker,
    threads: usize,
}

/// Options. All zeros, or NULL instead of this struct, are the defaults.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct LanerankOptions {
    /// Maximum tokens of query and passage together; 0 for the model's maximum.
    pub max_length: usize,
    /// Threads that one call may use, including the calling one; 0 for all cores of this process.
    /// At most 64, or 4 for each core of this process if that is more.
    pub threads: usize,
    /// Nonzero reads special tokens such as `[SEP]` in texts as plain text. Set it if passages come
    /// from untrusted sources.
    pub special_tokens_as_text: u32,
}

/// Opens with `open` and writes the handle to `out`.
///
/// # Safety
/// `options` must be null or point to options, `out` must be null or point to room for a pointer.
unsafe fn hand_out(
    options: *const LanerankOptions,
    out: *mut *mut LanerankRanker,
    open: impl FnOnce() -> Result<Model, Failure>,
) -> LanerankStatus {
    guarded(|| {
        if out.is_null() || !out.is_aligned() {
            return Err(Failure::argument("out is NULL or misaligned"));
        }
        // SAFETY: neither null nor misaligned, and the caller promises room.
        unsafe { out.write(ptr::null_mut()) };
        let count = usize::from(!options.is_null());
        // SAFETY: the caller's promise is the same.
        let options: &[LanerankOptions] = unsafe { slice(&"options", options, count) }?;
        let options = options.first().copied().unwrap_or_default();
        let handle = Box::new(make(open()?, options)?);
        // SAFETY: as above.
        unsafe { out.write(Box::into_raw(handle)) };
        Ok(())
    })
}

fn make(model: Model, options: LanerankOptions) -> Result<LanerankRanker, Failure> {
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let mut builder: Builder<Ranker> = Ranker::builder()
        .opened(model)
        .special_tokens_as_text(options.special_tokens_as_text != 0);
    if options.max_length > 0 {
        builder = builder.max_length(options.max_length);
    }
    if options.threads > 0 {
        builder = builder.threads(options.threads);
    }
    Ok(LanerankRanker {
        ranker: builder.build()?,
        threads,
    })
}

/// Opens the model inside this library: no file, no network.
///
/// options may be NULL. *out is set to the handle, or to NULL on failure. Free the handle with
/// lanerank_free.
///
/// # Safety
/// `options` must be null or point to options, `out` must be null or point to room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_open_default(
    options: *const LanerankOptions,
    out: *mut *mut LanerankRanker,
) -> LanerankStatus {
    // SAFETY: the caller's promise is the same.
    unsafe { hand_out(options, out, || Ok(Model::embedded()?)) }
}

/// Opens a model file: reads it into memory and verifies it.
///
/// path is NUL-terminated; on Windows it is UTF-8. options and out: see lanerank_open_default.
///
/// # Safety
/// As `lanerank_open_default`; `path` must be null or point to a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_open_file(
    path: *const c_char,
    options: *const LanerankOptions,
    out: *mut *mut LanerankRanker,
) -> LanerankStatus {
    let open = || {
        if path.is_null() {
            return Err(Failure::argument("path is NULL"));
        }
        // SAFETY: not null, and NUL-terminated by the caller's promise.
        let path = unsafe { CStr::from_ptr(path) };
        Ok(Model::open(path_of(path)?)?)
    };
    // SAFETY: the caller's promise is the same.
    unsafe { hand_out(options, out, open) }
}

#[cfg(unix)]
fn path_of(path: &CStr) -> Result<PathBuf, Failure> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(path.to_bytes()).into())
}

#[cfg(not(unix))]
fn path_of(path: &CStr) -> Result<PathBuf, Failure> {
    let utf8 = |_| Failure::new(LanerankStatus::Utf8, "path is not UTF-8");
    Ok(path.to_str().map_err(utf8)?.into())
}

/// Opens a model file in memory. The bytes are copied, so the memory may be freed afterwards.
///
/// options and out: see lanerank_open_default.
///
/// # Safety
/// As `lanerank_open_default`; `data` must be null or point to `len` bytes that do not change
/// during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_open_memory(
    data: *const u8,
    len: usize,
    options: *const LanerankOptions,
    out: *mut *mut LanerankRanker,
) -> LanerankStatus {
    let open = || {
        // SAFETY: the caller's promise is the same.
        let bytes = unsafe { slice(&"data", data, len) }?;
        Ok(Model::from_bytes(bytes)?)
    };
    // SAFETY: as above.
    unsafe { hand_out(options, out, open) }
}

/// Frees a ranker. NULL is ignored. No other call may use the ranker during this call or after it.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed, and no other thread may use it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_free(ranker: *mut LanerankRanker) {
    if !ranker.is_null() {
        // SAFETY: the pointer came from Box::into_raw, by the caller's promise.
        let ranker = unsafe { Box::from_raw(ranker) };
        guarded(|| {
            drop(ranker);
            Ok(())
        });
    }
}

/// The ranker behind a handle.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and is not freed while `'a` lasts.
pub(crate) unsafe fn handle<'a>(
    ranker: *const LanerankRanker,
) -> Result<&'a LanerankRanker, Failure> {
    // SAFETY: the caller's promise is the same.
    let ranker = unsafe { ranker.as_ref() };
    ranker.ok_or_else(|| Failure::argument("ranker is NULL"))
}

/// Threads that one call may use, including the calling one; 0 for NULL.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_threads(ranker: *const LanerankRanker) -> usize {
    // SAFETY: the caller's promise is the same.
    unsafe { handle(ranker) }.map_or(0, |ranker| ranker.threads)
}

/// Maximum tokens of query and passage together; 0 for NULL.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_max_length(ranker: *const LanerankRanker) -> usize {
    // SAFETY: the caller's promise is the same.
    unsafe { handle(ranker) }.map_or(0, |ranker| ranker.ranker.max_length())
}

/// The version of this library, such as "0.1.0". The string must not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn lanerank_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("the version contains a NUL"),
        };
    VERSION.as_ptr()
}
