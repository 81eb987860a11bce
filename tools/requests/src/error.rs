//! Why a request cannot be read.

use std::fmt::{self, Write};

use serde_json::error::Category;

/// Maximum bytes of what the parser says: it quotes what is in the text.
const LONGEST: usize = 1000;

/// Why a request cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestError {
    /// The text is not JSON.
    Syntax(Reason),
    /// The text is JSON, but not a request.
    Invalid(Reason),
    /// The request has too many texts.
    TooManyTexts {
        /// Texts in the request.
        count: usize,
        /// The limit.
        most: usize,
    },
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The part of the request, such as `documents[3]`; `None` if it is not one part.
    part: Option<String>,
    said: String,
    /// What helps.
    advice: Option<String>,
    /// Line and column in the whole text, from 1.
    place: Option<(usize, usize)>,
}

impl Reason {
    /// Line and column in the whole text, counted from 1, if the parser knows them.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// The message without the place.
    pub fn without_place(&self) -> impl fmt::Display {
        Reason {
            place: None,
            ..self.clone()
        }
    }
}

impl RequestError {
    /// A request that is JSON, but wrong.
    pub fn invalid(said: impl Into<String>) -> RequestError {
        RequestError::Invalid(Reason {
            part: None,
            said: said.into(),
            advice: None,
            place: None,
        })
    }

    /// The parser's error about `text`, which is the whole input.
    pub(crate) fn parser(text: &str, error: &serde_json::Error) -> RequestError {
        let (line, column) = (error.line(), error.column());
        let mut said = Short(String::new());
        // Ends early if it is too long.
        let _ = write!(said, "{error}");
        let Short(said) = said;
        let place = format!(" at line {line} column {column}");
        let said = said.strip_suffix(&place).unwrap_or(&said).to_owned();
        let reason = Reason {
            part: None,
            advice: surrogate_advice(text, &said),
            said,
            place: (line > 0).then_some((line, column)),
        };
        match error.classify() {
            Category::Data => RequestError::Invalid(reason),
            _ => RequestError::Syntax(reason),
        }
    }

    /// The same error without line and column.
    pub(crate) fn without_place(mut self) -> RequestError {
        if let RequestError::Syntax(reason) | RequestError::Invalid(reason) = &mut self {
            reason.place = None;
        }
        self
    }

    /// The same error about this part of the request. Line and column would count from the part's
    /// start, so they are dropped.
    pub(crate) fn of_part(mut self, part: impl Into<String>) -> RequestError {
        if let RequestError::Syntax(reason) | RequestError::Invalid(reason) = &mut self {
            reason.part = Some(part.into());
        }
        self.without_place()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = &self.part {
            write!(f, "`{part}`: ")?;
        }
        f.write_str(&self.said)?;
        if let Some((line, column)) = self.place {
            write!(f, " at line {line} column {column}")?;
        }
        match &self.advice {
            Some(advice) => write!(f, ": {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Syntax(reason) | RequestError::Invalid(reason) => reason.fmt(f),
            RequestError::TooManyTexts { count, most } => {
                write!(f, "{count} texts; a request may have {most}")
            }
        }
    }
}

impl std::error::Error for RequestError {}

/// Takes the first [`LONGEST`] bytes.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        let end = (0..=room).rfind(|&i| more.is_char_boundary(i));
        self.0.push_str(&more[..end.unwrap_or_default()]);
        self.0.push_str(" ...");
        Err(fmt::Error)
    }
}

/// What a client can do about half of a surrogate pair.
fn surrogate_advice(text: &str, said: &str) -> Option<String> {
    if !said.contains("surrogate") && !said.contains("hex escape") {
        return None;
    }
    let escape = lone_surrogate(text)?;
    Some(format!(
        "`{escape}` is half of a surrogate pair and no character; send both halves or U+FFFD \
         (Python: text.encode(\"utf-16\", \"surrogatepass\").decode(\"utf-16\", \"replace\"))"
    ))
}

/// The first escape that is half of a surrogate pair.
fn lone_surrogate(text: &str) -> Option<&str> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    loop {
        let rest = text.as_bytes().get(at..)?;
        let start = at + rest.iter().position(|&byte| byte == b'\\')?;
        at = match (unit(start), unit(start + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => start + 12,
            (Some(0xd800..=0xdfff), _) => return text.get(start..start + 6),
            _ => start + 2,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_surrogate_pairs_are_found() {
        for (text, found) in [
            (r#"{"a": "\ud83c\udf5e"}"#, None),
            (r#"{"a": "\\ud83c"}"#, None),
            (r#"{"a": "\u00e4"}"#, None),
            (r#"{"a": "é\ud83c"}"#, Some(r"\ud83c")),
            (r#"{"a": "\ud83c\u0041"}"#, Some(r"\ud83c")),
            (r#"{"a": "\udf5e\ud83c"}"#, Some(r"\udf5e")),
            (r"\", None),
        ] {
            assert_eq!(lone_surrogate(text), found, "{text}");
        }
    }

    #[test]
    fn what_is_quoted_is_shortened() {
        let text = format!("\"{}\"", "ä".repeat(10_000));
        let error = serde_json::from_str::<u8>(&text).unwrap_err();
        let said = RequestError::parser(&text, &error).to_string();
        assert!(said.starts_with("invalid type: string \"ää"), "{said}");
        assert!(said.len() < LONGEST + 50, "{said}");
    }

    #[test]
    fn a_message_names_the_place_or_the_part() {
        let text = "{\n\"a\" 1}";
        let error = serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap_err();
        let error = RequestError::parser(text, &error);
        assert_eq!(error.to_string(), "expected `:` at line 2 column 5");
        let RequestError::Syntax(reason) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(reason.place(), Some((2, 5)));
        assert_eq!(reason.without_place().to_string(), "expected `:`");
        assert_eq!(error.of_part("a[1]").to_string(), "`a[1]`: expected `:`");
    }
}
