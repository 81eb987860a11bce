//! Opening a model, and what there is to know of one.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::ptr;

use lanerank::{Builder, Model, Ranker};

use crate::error::{Failure, LanerankStatus, guarded};
use crate::text::slice;

/// An opened model. Any number of threads may use one at once; a child process after fork() opens its
/// own, because it has not the threads of its parent.
pub struct LanerankRanker {
    pub(crate) ranker: Ranker,
    threads: usize,
}

/// Choices; all zeros are the defaults, and so is NULL in place of this.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct LanerankOptions {
    /// Longest query and passage together, in tokens; 0 for what the model says.
    pub max_length: usize,
    /// Threads that one call may use, the calling one included; 0 for as many as this process may use.
    pub threads: usize,
    /// Not 0: SEP in brackets and its like in a text are read as plain text. Worth setting where passages come
    /// from people you do not trust.
    pub special_tokens_as_text: u32,
}

/// Opens with `open` and hands out the handle.
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
        // SAFETY: neither null nor misaligned, and the caller has room there.
        unsafe { out.write(ptr::null_mut()) };
        let count = usize::from(!options.is_null());
        // SAFETY: the caller's promise is the one that is asked for.
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
/// options may be NULL. *out becomes the handle, or NULL where this fails; free it with lanerank_free.
///
/// # Safety
/// `options` must be null or point to options, `out` must be null or point to room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_open_default(
    options: *const LanerankOptions,
    out: *mut *mut LanerankRanker,
) -> LanerankStatus {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { hand_out(options, out, || Ok(Model::embedded()?)) }
}

/// Opens a model file, which is read into memory and verified.
///
/// path ends with a NUL; on Windows it is UTF-8. The rest is as with lanerank_open_default.
///
/// # Safety
/// As `lanerank_open_default`; `path` must be null or point to a string that ends with a NUL.
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
        // SAFETY: not null, and the caller ends it with a NUL.
        let path = unsafe { CStr::from_ptr(path) };
        Ok(Model::open(path_of(path)?)?)
    };
    // SAFETY: the caller's promise is the one that is asked for.
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

/// Opens a model file that is in memory. It is copied: the memory may be freed afterwards.
///
/// The rest is as with lanerank_open_default.
///
/// # Safety
/// As `lanerank_open_default`; `data` must be null or point to `len` bytes that nobody changes
/// meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_open_memory(
    data: *const u8,
    len: usize,
    options: *const LanerankOptions,
    out: *mut *mut LanerankRanker,
) -> LanerankStatus {
    let open = || {
        // SAFETY: the caller's promise is the one that is asked for.
        let bytes = unsafe { slice(&"data", data, len) }?;
        Ok(Model::from_bytes(bytes)?)
    };
    // SAFETY: as above.
    unsafe { hand_out(options, out, open) }
}

/// Frees a ranker; NULL is nothing to free. No call may use it meanwhile or afterwards.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed, and no other thread may use it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_free(ranker: *mut LanerankRanker) {
    if !ranker.is_null() {
        // SAFETY: the caller gives back what Box::into_raw handed out.
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
    // SAFETY: the caller's promise is the one that is asked for.
    let ranker = unsafe { ranker.as_ref() };
    ranker.ok_or_else(|| Failure::argument("ranker is NULL"))
}

/// Threads that one call may use, the calling one included; 0 for NULL.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_threads(ranker: *const LanerankRanker) -> usize {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { handle(ranker) }.map_or(0, |ranker| ranker.threads)
}

/// Longest query and passage together, in tokens; 0 for NULL.
///
/// # Safety
/// `ranker` must be null or a handle that was opened and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanerank_max_length(ranker: *const LanerankRanker) -> usize {
    // SAFETY: the caller's promise is the one that is asked for.
    unsafe { handle(ranker) }.map_or(0, |ranker| ranker.ranker.max_length())
}

/// The version of this library, such as "0.1.0"; it must not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn lanerank_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version without NULs"),
        };
    VERSION.as_ptr()
}
