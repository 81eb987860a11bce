//! Writes to standard output and standard error without panicking.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;

/// Runs `write` on a buffered standard output.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(Failure::Output)
}

/// Writes one JSON value and a line end.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Writes one JSON value as a line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json_line(out: &mut dyn Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Writes one line to standard error; ignores failure to write it.
pub fn notice(message: impl Display) {
    let message = message.to_string();
    let _ = writeln!(io::stderr().lock(), "lanerank: {}", one_line(&message));
}

/// Escapes control characters, so that quoted input can neither break the line nor control the
/// terminal.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
    }
    Cow::Owned(line)
}

/// Replaces control characters by spaces, to show a passage on one line.
pub fn flat(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Width of the terminal, if standard output is one.
pub fn terminal_width() -> Option<usize> {
    let terminal = console::Term::stdout();
    terminal.is_term().then(|| {
        terminal
            .size_checked()
            .map_or(80, |(_, width)| width.into())
    })
}

/// A progress bar on standard error; invisible if that is not a terminal.
pub fn progress(total: u64, unit: &str) -> ProgressBar {
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit} {{eta}}");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A progress bar for a download: bytes, speed and the current file.
#[cfg(feature = "hub")]
pub fn bytes_progress() -> ProgressBar {
    let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_on_one_line() {
        assert_eq!(one_line("plain é"), "plain é");
        assert_eq!(
            one_line("a\nb\u{1b}[31mc\u{9b}"),
            "a\\nb\\u{1b}[31mc\\u{9b}"
        );
        assert_eq!(flat("a\tb\r\nc\u{1b}"), "a b  c ");
    }
}
