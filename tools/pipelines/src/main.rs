//! The binary; the code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lanerank_pipelines::main())
}
