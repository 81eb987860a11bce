//! Reads texts line by line, plain or as JSON: the input of `embed` and `tokenize`.

use clap::ValueEnum;
use lanerank_requests::RequestError;

use crate::failure::{Failure, Place};
use crate::input::{Input, Lines, MAX_WHOLE};
use crate::passages::{self, Passage, Start};

/// The form of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LineFormat {
    /// JSON if the first line is JSON, otherwise plain lines
    Auto,
    /// One text per line; skips blank lines
    Lines,
    /// One JSON value per line
    Jsonl,
}

/// A line that is not blank.
pub enum Line<'a> {
    /// The text itself.
    Plain(&'a str),
    /// A JSON value.
    Json(&'a str),
}

/// The lines of an input that are not blank.
pub struct TextLines {
    lines: Lines,
    /// `None` until the first line says whether they are JSON.
    json: Option<bool>,
    guessed: bool,
}

impl TextLines {
    /// Reads lines of this form.
    pub fn new(input: Input, format: LineFormat) -> TextLines {
        TextLines {
            lines: input.lines(),
            json: match format {
                LineFormat::Auto => None,
                LineFormat::Lines => Some(false),
                LineFormat::Jsonl => Some(true),
            },
            guessed: format == LineFormat::Auto,
        }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// As [`Lines::next_line`].
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, Failure> {
        if !self.lines.next_text()? {
            return Ok(None);
        }
        let line = self.lines.current();
        let json = *self
            .json
            .get_or_insert_with(|| Start::of(line) != Start::Text);
        Ok(Some(if json {
            Line::Json(line)
        } else {
            Line::Plain(line)
        }))
    }

    /// The place of the last line.
    pub fn place(&self) -> Place {
        self.lines.place()
    }

    /// The error of the last line, which should have been JSON.
    pub fn not_json(&self, error: &RequestError) -> Failure {
        if self.guessed {
            passages::must_be_json(&self.place(), error)
        } else {
            Failure::request(&self.place(), error)
        }
    }
}

/// The texts of an input in any form that `rerank` reads. Lines are read when they are asked for.
pub enum Texts {
    /// Line by line.
    Lines(TextLines),
    /// Of one JSON value.
    Whole(std::vec::IntoIter<Passage>),
}

impl Texts {
    /// Starts to read.
    ///
    /// # Errors
    /// When the input cannot be read, or is one JSON value that holds no texts.
    pub fn open(input: Input, format: passages::InputFormat) -> Result<Texts, Failure> {
        use passages::InputFormat::{Auto, Jsonl, Lines, Request};
        let format = match format {
            Lines => LineFormat::Lines,
            Jsonl => LineFormat::Jsonl,
            Auto => LineFormat::Auto,
            Request => return Self::whole(input, Request),
        };
        let mut lines = TextLines::new(input, format);
        if format == LineFormat::Auto && lines.lines.next_text()? {
            let first = lines.lines.current();
            let whole = match Start::of(first) {
                Start::Array => true,
                Start::Object => !passages::is_line_of_jsonl(first),
                Start::String | Start::Text => false,
            };
            let again = lines.lines.again();
            if whole {
                return Self::whole(again, Auto);
            }
            lines = TextLines::new(again, format);
        }
        Ok(Texts::Lines(lines))
    }

    fn whole(input: Input, format: passages::InputFormat) -> Result<Texts, Failure> {
        let place = input.place().clone();
        let request = passages::parse(&input.read_whole(MAX_WHOLE)?, format, &place)?;
        Ok(Texts::Whole(request.passages.into_iter()))
    }

    /// The next text, or `None` at the end.
    ///
    /// # Errors
    /// When a line cannot be read or is wrong.
    pub fn next_text(&mut self) -> Result<Option<String>, Failure> {
        let lines = match self {
            Texts::Whole(passages) => return Ok(passages.next().map(|passage| passage.text)),
            Texts::Lines(lines) => lines,
        };
        let read = match lines.next_line()? {
            None => return Ok(None),
            Some(Line::Plain(line)) => return Ok(Some(line.to_owned())),
            Some(Line::Json(line)) => Passage::of_json(line),
        };
        match read {
            Ok(passage) => Ok(Some(passage.text)),
            Err(e) => Err(lines.not_json(&e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::passages::InputFormat;

    fn input(text: &str) -> Input {
        Input::new(
            Place::named("in"),
            Cursor::new(text.to_owned().into_bytes()),
        )
        .unwrap()
    }

    fn texts(text: &str) -> Result<Vec<String>, String> {
        let read = || {
            let mut texts = Texts::open(input(text), InputFormat::Auto)?;
            let mut all = Vec::new();
            while let Some(text) = texts.next_text()? {
                all.push(text);
            }
            Ok(all)
        };
        read().map_err(|e: Failure| e.to_string())
    }

    /// The texts that `rerank` would rank.
    fn passages(text: &str) -> Result<Vec<String>, String> {
        let request = passages::parse(text, InputFormat::Auto, &Place::named("in"));
        let texts = |passages: Vec<Passage>| passages.into_iter().map(|p| p.text).collect();
        request
            .map(|request| texts(request.passages))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn all_commands_read_the_same_texts() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n \n", &[]),
            ("one\n\n two [x]\r\nthree", &["one", " two [x]", "three"]),
            ("\"a\"\n\n\"b \\\"c\\\"\"\n", &["a", "b \"c\""]),
            (
                "\"Hello,\" he said.\n\"Bye.\"\n",
                &["\"Hello,\" he said.", "\"Bye.\""],
            ),
            ("\"Hello\" and \"bye\"\nx", &["\"Hello\" and \"bye\"", "x"]),
            ("\"\n\"\"\"\n", &["\"", "\"\"\""]),
            (
                "{\"text\":\"a\"}\n\"b\"\n{\"id\":1,\"text\":\"c\"}",
                &["a", "b", "c"],
            ),
            ("\n[\"a\",\n{\"text\":\"b\"}]\n", &["a", "b"]),
            ("{\"query\":\"q\",\"texts\":[\"a\"]}", &["a"]),
            ("{\n\"passages\":\n[\"a\"]}", &["a"]),
            ("[1] a\n[2] b", &["[1] a", "[2] b"]),
        ] {
            assert_eq!(texts(text).unwrap(), expected, "{text}");
            assert_eq!(passages(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn all_commands_refuse_the_same_texts() {
        for (text, words) in [
            ("\"a\"\n\nnonsense\n", "in:3: "),
            ("\"a\"\n\"b", "in:2: "),
            ("\"bad \\x escape\"", "--format lines"),
            (
                "{\"text\":\"a\"}\n{\"txt\":\"b\"}",
                "in:2: an object without `text`",
            ),
            ("\n{ braces } in text\nb", "--format lines"),
            ("[\"a\"", "--format lines"),
        ] {
            for error in [texts(text).unwrap_err(), passages(text).unwrap_err()] {
                assert!(error.contains(words), "{text}: {error}");
            }
        }
    }
}
