//! `rerank_score(query, text [, model_path])` as an extension for SQLite 3.34 or later. Load it
//! with `.load ./liblanerank_sqlite` in the shell. `lanerank-function` describes the function.

#![allow(unsafe_code, reason = "SQLite hands over pointers")]

use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, Result, ffi};

/// SQLite's entry point: adds the function to the connection that loads the extension.
///
/// # Safety
/// As SQLite calls it: `db` is an open connection, `error` takes a message that SQLite frees, `api`
/// is SQLite's table of functions or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_extension_init(
    db: *mut ffi::sqlite3,
    error: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    let init = || {
        // SAFETY: the pointers are SQLite's, and are used only during this call.
        unsafe { Connection::extension_init2(db, error, api, add_function) }
    };
    // rusqlite catches panics of the function itself.
    catch_unwind(AssertUnwindSafe(init)).unwrap_or(ffi::SQLITE_ERROR)
}

/// Adds the function. Returns true: the library, with its open models, stays loaded after the
/// connection is closed.
fn add_function(connection: Connection) -> Result<bool> {
    lanerank_function::register(&connection)?;
    Ok(true)
}
