//! The binary `lanerank`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lanerank_cli::main(std::env::args_os()))
}
