//! Reads passages and optionally the query, as lines or as JSON: the input of `rerank`. `embed` and
//! `tokenize` read texts by the same rules ([`crate::texts`]).

use std::fmt;

use clap::ValueEnum;
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::failure::{Failure, Place};

/// A candidate: in JSON a string, or an object with a text. `id` and `meta` keep their exact JSON
/// text.
#[derive(Debug)]
pub struct Passage {
    /// The caller's id of the passage.
    pub id: Option<Box<RawValue>>,
    /// The text to score.
    pub text: String,
    /// Any value, returned with the passage.
    pub meta: Option<Box<RawValue>>,
    /// The first stage's score, for fusion.
    pub score: Option<f32>,
}

/// A candidate that is an object. Other fields are ignored, so that `rerank --json` can be read.
#[derive(Deserialize)]
struct PassageObject {
    id: Option<Box<RawValue>>,
    text: String,
    meta: Option<Box<RawValue>>,
    score: Option<f32>,
}

impl Passage {
    fn plain(text: &str) -> Passage {
        Passage {
            id: None,
            text: text.to_owned(),
            meta: None,
            score: None,
        }
    }
}

impl<'de> Deserialize<'de> for Passage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PassageVisitor)
    }
}

struct PassageVisitor;

impl<'de> Visitor<'de> for PassageVisitor {
    type Value = Passage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a passage: a string or an object with `text`")
    }

    fn visit_str<E>(self, text: &str) -> Result<Passage, E> {
        Ok(Passage::plain(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Passage, A::Error> {
        let object = PassageObject::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Passage {
            id: object.id,
            text: object.text,
            meta: object.meta,
            score: object.score,
        })
    }
}

/// Passages, and the query if the input has one.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// The query.
    pub query: Option<String>,
    /// The candidates, in the order of the input. The other names are those of the server's APIs.
    #[serde(alias = "documents", alias = "texts")]
    pub passages: Vec<Passage>,
}

/// The first character of JSON, or what else an input starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// An array of texts or passages.
    Array,
    /// An object.
    Object,
    /// A line that is a JSON string.
    String,
    /// Plain text.
    Text,
}

impl Start {
    /// What this text starts with.
    pub fn of(text: &str) -> Start {
        let text = text.trim_start();
        if text.starts_with('{') {
            return Start::Object;
        }
        if let Some(items) = text.strip_prefix('[') {
            // Other lines in brackets, such as `[1] text`, are text.
            return if items.trim_start().starts_with(['{', '"', ']']) {
                Start::Array
            } else {
                Start::Text
            };
        }
        if is_string(text.lines().next().unwrap_or_default().trim_end()) {
            Start::String
        } else {
            Start::Text
        }
    }
}

/// Whether a line is in quotes as a whole, as a JSON string is. `"Yes" or "no"` is not.
fn is_string(line: &str) -> bool {
    let inner = line
        .strip_prefix('"')
        .and_then(|line| line.strip_suffix('"'));
    let Some(inner) = inner else { return false };
    let mut escaped = false;
    for c in inner.chars() {
        if c == '"' && !escaped {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !escaped
}

/// Whether a line that starts an object is one of JSON lines, not the start of a request.
pub(crate) fn is_line_of_jsonl(line: &str) -> bool {
    serde_json::from_str::<Probe>(line).is_ok_and(|probe| probe.passages.is_none())
}

/// The form of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// JSON if the input starts with an object, an array of passages, or a line that is a JSON
    /// string; otherwise lines
    Auto,
    /// One passage per line; skips blank lines
    Lines,
    /// One passage per line: a JSON object with id, text, meta, score, or a JSON string
    Jsonl,
    /// One JSON value: an object with query and passages, or an array of passages
    Request,
}

/// Reads a request.
///
/// # Errors
/// When the text does not have the requested form; names the line.
pub fn parse(text: &str, format: InputFormat, place: &Place) -> Result<Request, Failure> {
    let guessed = format == InputFormat::Auto;
    let format = match format {
        InputFormat::Auto => detect(text, place)?,
        given => given,
    };
    let request = match format {
        InputFormat::Request => parse_request(text).map_err(|e| Failure::json(place, &e))?,
        InputFormat::Jsonl => parse_jsonl(text, place, guessed)?,
        InputFormat::Lines | InputFormat::Auto => parse_lines(text),
    };
    check_scores(&request.passages, place)?;
    Ok(request)
}

/// The field that distinguishes a request object from the first object of JSON lines.
#[derive(Deserialize)]
struct Probe {
    #[serde(alias = "documents", alias = "texts")]
    passages: Option<IgnoredAny>,
}

fn detect(text: &str, place: &Place) -> Result<InputFormat, Failure> {
    match Start::of(text) {
        Start::Text => Ok(InputFormat::Lines),
        Start::String => Ok(InputFormat::Jsonl),
        Start::Array => {
            let array = serde_json::from_str::<Vec<Passage>>(text).map(|_| InputFormat::Request);
            array.map_err(|e| must_be_json(place, &e))
        }
        Start::Object => {
            let mut values = serde_json::Deserializer::from_str(text).into_iter::<Probe>();
            match values.next() {
                Some(Ok(probe)) if probe.passages.is_some() => Ok(InputFormat::Request),
                Some(Err(e)) => Err(must_be_json(place, &e)),
                _ => Ok(InputFormat::Jsonl),
            }
        }
    }
}

/// The error of input that starts like JSON.
pub(crate) fn must_be_json(place: &Place, error: &serde_json::Error) -> Failure {
    match Failure::json(place, error) {
        Failure::Input { place, reason } => {
            let hint = "input that starts like JSON must be JSON, except with --format lines";
            Failure::input(&place, format!("{reason}; {hint}"))
        }
        other => other,
    }
}

fn parse_request(text: &str) -> serde_json::Result<Request> {
    if !text.trim_start().starts_with('[') {
        return serde_json::from_str(text);
    }
    Ok(Request {
        query: None,
        passages: serde_json::from_str(text)?,
    })
}

fn parse_jsonl(text: &str, place: &Place, guessed: bool) -> Result<Request, Failure> {
    let mut passages = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let refused = if guessed { must_be_json } else { Failure::json };
        let passage = serde_json::from_str::<Passage>(line);
        passages.push(passage.map_err(|e| refused(&place.at_line(number), &e))?);
    }
    Ok(Request {
        query: None,
        passages,
    })
}

fn parse_lines(text: &str) -> Request {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Request {
        query: None,
        passages: lines.map(Passage::plain).collect(),
    }
}

fn check_scores(passages: &[Passage], place: &Place) -> Result<(), Failure> {
    let infinite = |p: &Passage| p.score.is_some_and(|score| !score.is_finite());
    match passages.iter().position(infinite) {
        Some(index) => Err(Failure::input(
            place,
            format!("the score of {} is out of range", ordinal(index, passages)),
        )),
        None => Ok(()),
    }
}

/// A passage for a message: people count from 1.
fn ordinal(index: usize, passages: &[Passage]) -> String {
    format!("passage {} of {}", index + 1, passages.len())
}

/// The first stage's scores, for fusion.
///
/// # Errors
/// When a passage has none.
pub fn first_stage(passages: &[Passage], place: &Place) -> Result<Vec<f32>, Failure> {
    let score = |(index, passage): (usize, &Passage)| {
        passage.score.ok_or_else(|| {
            let passage = ordinal(index, passages);
            let reason = format!(
                "{passage} has no `score`: --fuse needs the first stage's score of each passage, \
                 {{\"text\": ..., \"score\": ...}}"
            );
            Failure::input(place, reason)
        })
    };
    passages.iter().enumerate().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: InputFormat) -> Result<Request, String> {
        parse(text, format, &Place::named("in")).map_err(|e| e.to_string())
    }

    fn raw(value: &Option<Box<RawValue>>) -> Option<&str> {
        value.as_deref().map(RawValue::get)
    }

    #[test]
    fn lines() {
        let request = read("one\n\n  \ntwo [x]\r\n", InputFormat::Auto).unwrap();
        let texts: Vec<_> = request.passages.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(texts, ["one", "two [x]"]);
        assert!(read("", InputFormat::Auto).unwrap().passages.is_empty());
        let request = read("{not json", InputFormat::Lines).unwrap();
        assert_eq!(request.passages[0].text, "{not json");
    }

    #[test]
    fn jsonl_keeps_ids_and_meta_to_the_letter() {
        let text = "\n{\"id\": 12345678901234567890123, \"text\": \"a\", \
                    \"meta\": {\"z\":1.0,\"a\":[]}}\n\
                    {\"text\":\"b\",\"score\":2.5,\"other\":0}\n";
        let request = read(text, InputFormat::Auto).unwrap();
        let [first, second] = &request.passages[..] else {
            panic!()
        };
        assert_eq!(raw(&first.id), Some("12345678901234567890123"));
        assert_eq!(raw(&first.meta), Some("{\"z\":1.0,\"a\":[]}"));
        assert_eq!((raw(&second.id), second.score), (None, Some(2.5)));
    }

    #[test]
    fn request_objects_may_span_lines() {
        let text = "{\n \"query\": \"q\",\n \"passages\": [{\"id\": null, \"text\": \"a\"}]\n}\n";
        let request = read(text, InputFormat::Auto).unwrap();
        assert_eq!(request.query.as_deref(), Some("q"));
        assert_eq!(request.passages.len(), 1);
        let empty = read("{\"passages\":[]}", InputFormat::Auto).unwrap();
        assert!(empty.query.is_none() && empty.passages.is_empty());
    }

    #[test]
    fn arrays_hold_strings_and_objects() {
        let text = "[{\"id\": 7.0, \"text\": \"a\", \"logit\": 1.5},\n \"b\"]\n";
        for format in [InputFormat::Auto, InputFormat::Request] {
            let request = read(text, format).unwrap();
            let texts: Vec<_> = request.passages.iter().map(|p| p.text.as_str()).collect();
            assert_eq!(texts, ["a", "b"]);
            assert_eq!(raw(&request.passages[0].id), Some("7.0"));
        }
        assert!(read("[]", InputFormat::Auto).unwrap().passages.is_empty());
        let lines = read("[1] a\n[2] b", InputFormat::Auto).unwrap();
        assert_eq!(lines.passages[1].text, "[2] b");
        let error = read("[\"a\", 1]", InputFormat::Auto).unwrap_err();
        assert!(
            error.contains("a passage: a string or an object"),
            "{error}"
        );
        let error = read("[\"a\"", InputFormat::Auto).unwrap_err();
        assert!(error.contains("--format lines"), "{error}");
    }

    #[test]
    fn requests_may_have_the_names_of_other_apis() {
        for name in ["passages", "documents", "texts"] {
            let text = format!("{{\"query\": \"q\", \"{name}\": [\"a\", {{\"text\": \"b\"}}]}}");
            let request = read(&text, InputFormat::Auto).unwrap();
            assert_eq!(request.query.as_deref(), Some("q"));
            assert_eq!(request.passages[1].text, "b");
        }
    }

    #[test]
    fn errors_name_the_line() {
        let message = |text, format| read(text, format).unwrap_err();
        let error = message("{\"text\":\"a\"}\n{\"txt\":\"b\"}", InputFormat::Auto);
        assert!(error.starts_with("in:2: missing field `text`"), "{error}");
        let error = message("{\"text\":\"a\"}\nplain", InputFormat::Auto);
        assert!(error.starts_with("in:2: "), "{error}");
        let error = message("{ braces } in text", InputFormat::Auto);
        assert!(error.contains("--format lines"), "{error}");
        let error = message("{\"passages\":[{\"text\":1}]}", InputFormat::Auto);
        assert!(error.starts_with("in:1: invalid type"), "{error}");
        let error = message("{\"text\":\"\\ud800\"}", InputFormat::Jsonl);
        assert!(error.starts_with("in:1: "), "{error}");
        let error = message("{\"text\":\"a\",\"score\":1e60}", InputFormat::Jsonl);
        assert!(error.contains("passage 1 of 1 is out of range"), "{error}");
    }

    #[test]
    fn fusion_needs_every_score() {
        let text = "{\"text\":\"a\",\"score\":1}\n{\"text\":\"b\"}";
        let request = read(text, InputFormat::Jsonl).unwrap();
        let place = Place::named("in");
        let error = first_stage(&request.passages, &place)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("in: passage 2 of 2 has no `score`"),
            "{error}"
        );
        let first = first_stage(&request.passages[..1], &place).unwrap();
        assert_eq!(first, [1.0]);
    }
}
