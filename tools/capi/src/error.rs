//! Statuses, and the message of the last error.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use lanerank::Error;

/// The outcome of a call. Every status except LANERANK_STATUS_OK sets lanerank_last_error.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanerankStatus {
    /// Success.
    Ok = 0,
    /// A null or misaligned pointer, an impossible length, or an option out of range.
    Argument = 1,
    /// A text is not UTF-8.
    Utf8 = 2,
    /// A file could not be read.
    Io = 3,
    /// A model file is damaged, or its architecture is not supported.
    Model = 4,
    /// LANERANK_ISA names a kernel tier that is unknown or that this CPU lacks.
    Isa = 5,
    /// The model computed NaN.
    NotANumber = 6,
    /// A bug in lanerank; please report it.
    Internal = 7,
    /// The system refused to start the threads that were asked for.
    Threads = 8,
}

/// A status with its message.
pub(crate) struct Failure {
    status: LanerankStatus,
    text: String,
}

impl Failure {
    pub(crate) fn new(status: LanerankStatus, text: impl fmt::Display) -> Self {
        Failure {
            status,
            text: text.to_string(),
        }
    }

    pub(crate) fn argument(text: impl fmt::Display) -> Self {
        Failure::new(LanerankStatus::Argument, text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Io { .. } => LanerankStatus::Io,
            Error::Argument(_) => LanerankStatus::Argument,
            Error::Isa(_) => LanerankStatus::Isa,
            Error::NotANumber { .. } => LanerankStatus::NotANumber,
            Error::Threads { .. } => LanerankStatus::Threads,
            _ => LanerankStatus::Model,
        };
        Failure::new(status, error)
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Runs the body of an interface function, and turns an error or a panic into status and message.
pub(crate) fn guarded(body: impl FnOnce() -> Result<(), Failure>) -> LanerankStatus {
    // Unwind safe: after a panic only locks are used again, and the library accepts poisoned ones.
    let result = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("no message");
        Err(Failure::new(
            LanerankStatus::Internal,
            format!("panic: {text}"),
        ))
    });
    match result {
        Ok(()) => LanerankStatus::Ok,
        Err(failure) => {
            set_last(failure.text);
            failure.status
        }
    }
}

fn set_last(text: String) {
    let mut bytes = text.into_bytes();
    bytes.retain(|&byte| byte != 0);
    let text = CString::new(bytes).unwrap_or_default();
    // Fails only while the thread ends, when the message has no place any more.
    let _ = LAST.try_with(|last| last.replace(text));
}

/// The message of this thread's last error, in UTF-8; empty if there was none. It stays valid until
/// the next failing call in this thread, and must not be freed.
#[unsafe(no_mangle)]
pub extern "C" fn lanerank_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr())
        .unwrap_or(ptr::null())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn last() -> String {
        // SAFETY: the string is valid until this thread's next failure.
        let text = unsafe { CStr::from_ptr(lanerank_last_error()) };
        text.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_panic_becomes_a_status_and_its_message_the_text() {
        assert_eq!(last(), "");
        let status = guarded(|| panic!("number {}", 7));
        assert_eq!(status, LanerankStatus::Internal);
        assert_eq!(last(), "panic: number 7");
        assert_eq!(guarded(|| panic!("plain")), LanerankStatus::Internal);
        assert_eq!(last(), "panic: plain");
    }

    #[test]
    fn texts_belong_to_their_thread_and_hold_no_nul() {
        guarded(|| Err(Failure::argument("a\0b")));
        assert_eq!(last(), "ab");
        std::thread::spawn(|| assert_eq!(last(), ""))
            .join()
            .unwrap();
        assert_eq!(guarded(|| Ok(())), LanerankStatus::Ok);
        assert_eq!(last(), "ab");
    }
}
