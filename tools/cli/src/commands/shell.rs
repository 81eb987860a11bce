//! `lanerank completions` and `lanerank man`: the command line as shells and `man` read it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Failure, Place};
use crate::output;

/// Write a completion script to standard output: source <(lanerank completions bash)
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write man pages, lanerank.1 and one a command, to a folder that MANPATH names: .../man/man1
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder; made if it is missing
    dir: PathBuf,
}

/// Prints a completion script of this command line.
///
/// # Errors
/// When standard output cannot be written.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    // In memory, because the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "lanerank", &mut script);
    output::print(|out| out.write_all(&script))
}

/// Writes a page of each command.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let wrong = |e| Failure::input(&Place::file(&args.dir), e);
    fs::create_dir_all(&args.dir).map_err(wrong)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let pages = pages(&args.dir, &command).map_err(wrong)?;
    output::notice(format!("wrote {pages} pages to {}", args.dir.display()));
    Ok(())
}

/// Writes the page of a command and those of its subcommands; returns their number.
fn pages(folder: &Path, command: &Command) -> std::io::Result<usize> {
    let mut count = 1;
    for subcommand in command.get_subcommands() {
        count += pages(folder, subcommand)?;
    }
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(folder.join(page.get_filename()), text)?;
    Ok(count)
}
