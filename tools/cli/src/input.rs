//! Reads text within limits: from files or standard input, plain or gzip, by lines or whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, IsTerminal, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::failure::{Failure, Place};
use crate::output;

/// Maximum length of a line in bytes.
pub const MAX_LINE: u64 = 64 << 20;

/// Maximum length of an input that is read whole, in bytes.
pub const MAX_WHOLE: u64 = 1 << 30;

/// What is said of other text, and what helps.
const NOT_UTF8: &str = "not UTF-8; `iconv -f LATIN1 -t UTF-8` converts text of another encoding";

/// An open input and its name in errors.
pub struct Input {
    place: Place,
    reader: Box<dyn BufRead>,
}

impl Input {
    /// Opens a file, or standard input for `None` and `-`. Gzip is detected by its first bytes. If
    /// standard input is the default and a terminal, a notice says that the command waits for text.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: Option<&Path>) -> Result<Self, Failure> {
        match path {
            Some(path) if path != Path::new("-") => {
                let place = Place::file(path);
                let file = File::open(path).map_err(|e| Failure::input(&place, e))?;
                Self::new(place, file)
            }
            _ => {
                if path.is_none() && io::stdin().is_terminal() {
                    output::notice(
                        "no file given: reading from the terminal until its end (Ctrl-D)",
                    );
                }
                Self::new(Place::named("standard input"), io::stdin())
            }
        }
    }

    /// Wraps an open reader.
    ///
    /// # Errors
    /// When its first bytes cannot be read.
    pub fn new(place: Place, mut reader: impl Read + 'static) -> Result<Self, Failure> {
        let mut head = Vec::new();
        let read = reader.by_ref().take(2).read_to_end(&mut head);
        read.map_err(|e| Failure::input(&place, e))?;
        let gzip = head == [0x1f, 0x8b];
        let whole = BufReader::with_capacity(1 << 16, Cursor::new(head).chain(reader));
        let reader: Box<dyn BufRead> = if gzip {
            Box::new(BufReader::with_capacity(
                1 << 16,
                MultiGzDecoder::new(whole),
            ))
        } else {
            Box::new(whole)
        };
        Ok(Input { place, reader })
    }

    /// The input's name in errors.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Reads it line by line.
    pub fn lines(self) -> Lines {
        Lines {
            input: self,
            number: 0,
            buffer: Vec::new(),
            mark: 0,
        }
    }

    /// Reads all of it as UTF-8, without a byte order mark.
    ///
    /// # Errors
    /// When it cannot be read, is longer than `limit` bytes or is not UTF-8.
    pub fn read_whole(self, limit: u64) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        let read = self.reader.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|e| Failure::input(&self.place, e))?;
        if bytes.len() as u64 > limit {
            return Err(Failure::input(
                &self.place,
                format!("longer than {limit} bytes; split it"),
            ));
        }
        let mut text = String::from_utf8(bytes).map_err(|e| {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|&&b| b == b'\n').count() as u64;
            Failure::input(&self.place.at_line(line), NOT_UTF8)
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        Ok(text)
    }
}

/// Lines of an input, without their ends.
pub struct Lines {
    input: Input,
    number: u64,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that are no part of the line: a byte order mark.
    mark: usize,
}

impl Lines {
    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read, is longer than [`MAX_LINE`] or is not UTF-8.
    pub fn next_line(&mut self) -> Result<Option<&str>, Failure> {
        Ok(self.read()?.then(|| self.current()))
    }

    /// Goes to the next line that is not blank. Returns whether there is one.
    ///
    /// # Errors
    /// As [`Lines::next_line`].
    pub fn next_text(&mut self) -> Result<bool, Failure> {
        while self.read()? {
            if !self.current().trim().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The line that was read last.
    pub fn current(&self) -> &str {
        // Checked by `read`.
        std::str::from_utf8(trim_line_end(&self.buffer[self.mark..])).unwrap_or_default()
    }

    /// The input from the line that was read last; lines before it are blank.
    pub fn again(self) -> Input {
        let mut before = vec![b'\n'; self.number.saturating_sub(1) as usize];
        before.extend(&self.buffer[self.mark..]);
        Input {
            place: self.input.place,
            reader: Box::new(Cursor::new(before).chain(self.input.reader)),
        }
    }

    fn read(&mut self) -> Result<bool, Failure> {
        self.buffer.clear();
        self.mark = 0;
        self.number += 1;
        let place = self.input.place.at_line(self.number);
        let mut limited = self.input.reader.by_ref().take(MAX_LINE + 1);
        let read = limited.read_until(b'\n', &mut self.buffer);
        let count = read.map_err(|e| Failure::input(&place, e))?;
        if count == 0 {
            return Ok(false);
        }
        if count as u64 > MAX_LINE {
            let reason = format!("line longer than {MAX_LINE} bytes");
            return Err(Failure::input(&place, reason));
        }
        let text = std::str::from_utf8(trim_line_end(&self.buffer))
            .map_err(|_| Failure::input(&place, NOT_UTF8))?;
        if self.number == 1 && text.starts_with('\u{feff}') {
            self.mark = '\u{feff}'.len_utf8();
        }
        Ok(true)
    }

    /// The place of the last line read.
    pub fn place(&self) -> Place {
        self.input.place.at_line(self.number)
    }
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The first of `names` that is a file in `folder`, as it is or with `.gz` appended.
pub fn find_in(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| [folder.join(name), folder.join(format!("{name}.gz"))])
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn input(bytes: &[u8]) -> Input {
        Input::new(Place::named("test"), Cursor::new(bytes.to_vec())).unwrap()
    }

    fn all_lines(bytes: &[u8]) -> Result<Vec<String>, Failure> {
        let mut lines = input(bytes).lines();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line()? {
            all.push(line.to_owned());
        }
        Ok(all)
    }

    #[test]
    fn lines_lose_their_ends_and_the_byte_order_mark() {
        assert_eq!(all_lines(b"").unwrap(), [""; 0]);
        assert_eq!(all_lines(b"a").unwrap(), ["a"]);
        assert_eq!(all_lines(b"a\r\n\nb\n").unwrap(), ["a", "", "b"]);
        assert_eq!(all_lines("\u{feff}a\n".as_bytes()).unwrap(), ["a"]);
    }

    #[test]
    fn gzip_is_recognised_by_its_bytes() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"one\ntwo\n").unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(all_lines(&bytes).unwrap(), ["one", "two"]);
        let cut = all_lines(&bytes[..bytes.len() - 6]).unwrap_err();
        assert_eq!(cut.exit_code(), 2);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_line() {
        let error = all_lines(b"a\nb\xff\n").unwrap_err();
        assert_eq!(error.to_string(), format!("test:2: {NOT_UTF8}"));
        let error = input(b"a\n\n\xff").read_whole(10).unwrap_err();
        assert_eq!(error.to_string(), format!("test:3: {NOT_UTF8}"));
    }

    #[test]
    fn what_is_read_whole_has_a_limit() {
        assert_eq!(input(b"abc").read_whole(3).unwrap(), "abc");
        let error = input(b"abcd").read_whole(3).unwrap_err();
        assert_eq!(error.to_string(), "test: longer than 3 bytes; split it");
    }
}
