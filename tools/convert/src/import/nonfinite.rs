//! `NaN`, `Infinity` and `-Infinity` in JSON files. They are no JSON, but Python writes and reads
//! them.
//!
//! Each is replaced by JSON of the same length, so that positions in errors stay those of the file:
//! `NaN` by a text that no field accepts, an infinity by a float beyond every limit.

use std::borrow::Cow;
use std::ops::Range;

/// The numbers that are no JSON, and what replaces each.
const TOKENS: [(&str, &str); 3] = [
    ("NaN", "\"\u{7f}\""),
    ("Infinity", "1.0e+300"),
    ("-Infinity", "-1.0e+300"),
];

/// How an error of `serde_json` quotes the text that replaces `NaN`.
const QUOTED: &str = "string \"\\u{7f}\"";

/// A number that is no JSON.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    /// The last key before it, without quotes.
    key: Range<usize>,
    token: Range<usize>,
    replacement: &'static str,
}

/// Finds these numbers outside strings.
struct Search<'a> {
    text: &'a str,
    at: usize,
    /// The last string.
    string: Range<usize>,
    /// The last string that a colon follows.
    key: Range<usize>,
}

impl<'a> Search<'a> {
    fn new(text: &'a str) -> Self {
        Search {
            text,
            at: 0,
            string: 0..0,
            key: 0..0,
        }
    }

    /// The end of the string that begins at `start`, after its first quote.
    fn end_of_string(&self, start: usize) -> usize {
        let mut escaped = false;
        let bytes = self.text.as_bytes()[start..].iter();
        let length = bytes.take_while(|&&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            !ends
        });
        start + length.count()
    }

    /// The number at this place, if it is not part of a longer word.
    fn token(&self) -> Option<(usize, &'static str)> {
        let bytes = self.text.as_bytes();
        let is_word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric());
        if self
            .at
            .checked_sub(1)
            .is_some_and(|before| is_word(bytes.get(before)))
        {
            return None;
        }
        let (token, replacement) = TOKENS
            .into_iter()
            .find(|(token, _)| bytes[self.at..].starts_with(token.as_bytes()))?;
        let end = self.at + token.len();
        (!is_word(bytes.get(end))).then_some((end, replacement))
    }
}

impl Iterator for Search<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    let end = self.end_of_string(self.at + 1);
                    self.string = self.at + 1..end;
                    self.at = end;
                }
                b':' => self.key = self.string.clone(),
                b'N' | b'I' | b'-' => {
                    if let Some((end, replacement)) = self.token() {
                        let token = self.at..end;
                        self.at = end;
                        return Some(Found {
                            key: self.key.clone(),
                            token,
                            replacement,
                        });
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        None
    }
}

/// The text as JSON.
pub(super) fn replaced(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut json = String::with_capacity(text.len());
    let mut done = 0;
    for found in Search::new(text) {
        json.push_str(&text[done..found.token.start]);
        json.push_str(found.replacement);
        done = found.token.end;
    }
    json.push_str(&text[done..]);
    Cow::Owned(json)
}

/// The line and the fault, if an error is about one of these numbers.
pub(super) fn fault(text: &str, error: &serde_json::Error) -> Option<(u64, String)> {
    let lines = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let place = lines.map(str::len).sum::<usize>() + error.column();
    let is_nan = error.to_string().contains(QUOTED);
    // A field that is read after its object has the object's end for its place.
    let found = Search::new(text)
        .find(|found| found.token.start < place && place <= found.token.end + 1)
        .or_else(|| {
            Search::new(text).find(|found| is_nan && &text[found.token.clone()] == "NaN")
        })?;
    let line = 1 + text[..found.token.start].matches('\n').count() as u64;
    let (key, token) = (&text[found.key], &text[found.token]);
    Some((
        line,
        format!("{key}: {token} is not a value that it can have"),
    ))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    struct Fields {
        size: usize,
        #[serde(default)]
        limit: Option<f64>,
    }

    fn read(text: &str) -> Result<Fields, (u64, String)> {
        serde_json::from_str(&replaced(text)).map_err(|e| fault(text, &e).unwrap_or_default())
    }

    #[test]
    fn numbers_that_do_not_matter_are_skipped() {
        let text = r#"{"a": NaN, "NaN: Infinity": [-Infinity, "NaN", "\"NaN"], "size": 7}"#;
        assert_eq!(read(text).unwrap().size, 7);
        let text = r#"{"size": 7, "limit": Infinity}"#;
        assert_eq!(read(text).unwrap().limit, Some(1e300));
        assert!(matches!(replaced("{\"a\": 1}"), Cow::Borrowed(_)));
        for unchanged in ["\"NaN", "xNaN", "NaNs", "-NaN1", "\\NaN\\\"", "\"\\"] {
            assert_eq!(
                replaced(unchanged).contains('\u{7f}'),
                unchanged == "\\NaN\\\""
            );
        }
    }

    #[test]
    fn the_key_is_named_where_it_matters() {
        let text = "{\"b\": NaN,\n \"size\": NaN}";
        let expected = (2, "size: NaN is not a value that it can have".to_owned());
        assert_eq!(read(text).unwrap_err(), expected);
        let error = read("{\"size\": Infinity, \"b\": NaN}").unwrap_err();
        assert!(error.1.starts_with("size: Infinity is not"), "{error:?}");
        let error = read("{\"size\": -Infinity}").unwrap_err();
        assert!(error.1.starts_with("size: -Infinity is not"), "{error:?}");
        // Another fault of a file that has one elsewhere.
        assert_eq!(
            read("{\"b\": NaN, \"size\": \"x\"}").unwrap_err(),
            (0, String::new())
        );
    }
}
