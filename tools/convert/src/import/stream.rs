//! A byte reader that counts.

use std::io::{BufRead, BufReader, Read};

/// Names of modules and classes are short.
const MAX_LINE: u64 = 1024;

/// A reader with a position and a limit.
pub(super) struct Stream<R> {
    reader: BufReader<R>,
    position: u64,
    end: u64,
}

impl<R: Read> Stream<R> {
    /// Reads at most `end` bytes.
    pub(super) fn new(reader: R, end: u64) -> Self {
        Stream {
            reader: BufReader::new(reader),
            position: 0,
            end,
        }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes up to the limit.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.position)
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.advance(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(ended)?;
        Ok(bytes)
    }

    /// The next `len` bytes.
    pub(super) fn bytes(&mut self, len: u64) -> Result<Vec<u8>, String> {
        self.advance(len)?;
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(len).read_to_end(&mut bytes);
        if read.map_err(ended)? as u64 == len {
            Ok(bytes)
        } else {
            Err("ends early".into())
        }
    }

    /// The text up to the next line feed.
    pub(super) fn line(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut bytes);
        let read = read.map_err(ended)?;
        self.advance(read as u64)?;
        match bytes.pop() {
            Some(b'\n') => String::from_utf8(bytes).map_err(|_| "a name is not UTF-8".into()),
            _ => Err("a name without an end".into()),
        }
    }

    fn advance(&mut self, len: u64) -> Result<(), String> {
        self.position = self.position.saturating_add(len);
        if self.position <= self.end {
            Ok(())
        } else {
            Err(format!("ends early: it has {} bytes", self.end))
        }
    }
}

fn ended(e: std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "ends early".into(),
        _ => e.to_string(),
    }
}
