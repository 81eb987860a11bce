//! The native half of the Python package `lanerank`: opens models by path or name, scores with the
//! interpreter lock released, and turns errors into exceptions. Users see the package around it
//! (`python/lanerank`).

mod encoder;
mod engine;
mod errors;
mod interrupts;
mod models;
mod ranker;
mod texts;

use pyo3::prelude::*;

/// The native half of `lanerank`.
#[pymodule]
mod _lanerank {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use super::encoder::Encoder;
    #[pymodule_export]
    use super::errors::{HubError, ModelError};
    #[pymodule_export]
    use super::ranker::{Hit, Ranker};

    /// The package's version.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Runs the command line; the first argument is the program's name. Returns the exit code.
    #[pyfunction]
    fn run_cli(py: Python<'_>, args: Vec<OsString>) -> u8 {
        py.detach(|| lanerank_cli::main(args))
    }
}
