//! Reads passages and optionally the query, as lines or as JSON: the input of `rerank`. `embed` and
//! `tokenize` read texts by the same rules ([`crate::texts`]).
//!
//! [`lanerank_requests`] reads the JSON, for the server too. These are the program's alone: lines,
//! lists without an object around them, a query from elsewhere, and an empty list, about which
//! `rerank` says that there is nothing to rank.

use clap::ValueEnum;
use lanerank_requests::{Direction, Document, Documents, Flag, RequestError, RerankFields, json};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::failure::{Failure, Place};

/// Most passages that are ranked together.
pub const MAX_PASSAGES: usize = 1 << 24;

/// The names of the list in a request object. The first names an array without an object.
const NAMES: [&str; 3] = ["passages", "documents", "texts"];

/// A candidate: in JSON a string, or an object with a text. `id`, `meta` and `score` keep their
/// exact JSON text.
#[derive(Debug)]
pub struct Passage {
    /// The caller's id of the passage.
    pub id: Option<Box<RawValue>>,
    /// The text to score.
    pub text: String,
    /// Any value, returned with the passage.
    pub meta: Option<Box<RawValue>>,
    /// The first stage's score. Only fusion reads it.
    pub score: Option<Box<RawValue>>,
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

    /// Reads a line of JSON lines.
    ///
    /// # Errors
    /// When it is neither a string nor an object with `text`.
    pub fn of_json(line: &str) -> Result<Passage, RequestError> {
        Ok(Document::read(json::value(line)?, None)?.into())
    }
}

impl From<Document<'_>> for Passage {
    fn from(document: Document) -> Passage {
        let owned = |value: Option<&RawValue>| value.map(ToOwned::to_owned);
        Passage {
            id: owned(document.id),
            meta: owned(document.meta),
            score: owned(document.score),
            text: document.text,
        }
    }
}

/// Passages, and the query if the input has one.
#[derive(Debug)]
pub struct Request {
    /// The query.
    pub query: Option<String>,
    /// The candidates, in the order of the input.
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
    serde_json::from_str::<Probe>(line).is_ok_and(|probe| !probe.is_request())
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
/// When the text does not have the requested form, or has more than [`MAX_PASSAGES`]; names the
/// line or the passage.
pub fn parse(text: &str, format: InputFormat, place: &Place) -> Result<Request, Failure> {
    let refused = match format {
        InputFormat::Auto => must_be_json,
        _ => Failure::request,
    };
    let format = match format {
        InputFormat::Auto => detect(text).map_err(|e| refused(place, &e))?,
        given => given,
    };
    if format == InputFormat::Request {
        return parse_request(text).map_err(|e| refused(place, &e));
    }
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let (count, most) = (lines.clone().count(), MAX_PASSAGES);
    if count > most {
        let error = RequestError::TooManyTexts { count, most };
        return Err(Failure::request(place, &error));
    }
    let read = |(number, line)| match format {
        InputFormat::Jsonl => {
            Passage::of_json(line).map_err(|e| refused(&place.at_line(number), &e))
        }
        _ => Ok(Passage::plain(line)),
    };
    Ok(Request {
        query: None,
        passages: lines.map(read).collect::<Result<_, _>>()?,
    })
}

/// The fields that distinguish a request object from the first object of JSON lines.
#[derive(Deserialize)]
struct Probe {
    passages: Option<IgnoredAny>,
    documents: Option<IgnoredAny>,
    texts: Option<IgnoredAny>,
}

impl Probe {
    fn is_request(&self) -> bool {
        self.passages.or(self.documents).or(self.texts).is_some()
    }
}

fn detect(text: &str) -> Result<InputFormat, RequestError> {
    match Start::of(text) {
        Start::Text => Ok(InputFormat::Lines),
        Start::String => Ok(InputFormat::Jsonl),
        Start::Array => Ok(InputFormat::Request),
        Start::Object => Ok(match json::first::<Probe>(text)? {
            Some(probe) if probe.is_request() => InputFormat::Request,
            _ => InputFormat::Jsonl,
        }),
    }
}

/// The error of input that starts like JSON.
pub(crate) fn must_be_json(place: &Place, error: &RequestError) -> Failure {
    match (Failure::request(place, error), error) {
        (Failure::Input { place, reason }, RequestError::Syntax(_)) => {
            let hint = "input that starts like JSON must be JSON, except with --format lines";
            Failure::input(&place, format!("{reason}; {hint}"))
        }
        (other, _) => other,
    }
}

fn parse_request(text: &str) -> Result<Request, RequestError> {
    let (query, documents) = if text.trim_start().starts_with('[') {
        (
            None,
            Documents::new(NAMES[0], json::value(text)?, None, MAX_PASSAGES)?,
        )
    } else {
        let fields: RerankFields = json::object(text)?;
        refuse_options(&fields)?;
        let documents = fields.documents(&NAMES, MAX_PASSAGES)?;
        (fields.query, documents)
    };
    let passages = documents.iter().map(|read| Ok(read?.into()));
    Ok(Request {
        query,
        passages: passages.collect::<Result<_, _>>()?,
    })
}

/// Refuses the server's options that change scores. Its others are options of the command.
fn refuse_options(fields: &RerankFields) -> Result<(), RequestError> {
    let cuts = [
        ("truncate", fields.truncate == Some(Flag(false))),
        (
            "truncation_direction",
            fields.truncation_direction == Some(Direction::Left),
        ),
        ("max_tokens_per_doc", fields.max_tokens_per_doc.is_some()),
    ];
    match cuts.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(RequestError::invalid(format!(
            "`{name}` changes which texts are truncated; only `lanerank serve` reads it"
        ))),
    }
}

/// A passage for a message: people count from 1.
fn ordinal(index: usize, passages: &[Passage]) -> String {
    format!("passage {} of {}", index + 1, passages.len())
}

/// The first stage's scores, for fusion.
///
/// # Errors
/// When a passage has none, or one that is not a finite number.
pub fn first_stage(passages: &[Passage], place: &Place) -> Result<Vec<f32>, Failure> {
    let score = |(index, passage): (usize, &Passage)| {
        let passage_of = ordinal(index, passages);
        let Some(raw) = &passage.score else {
            let reason = format!(
                "{passage_of} has no `score`: --fuse needs the first stage's score of each \
                 passage, {{\"text\": ..., \"score\": ...}}"
            );
            return Err(Failure::input(place, reason));
        };
        match serde_json::from_str::<f32>(raw.get()) {
            Ok(score) if score.is_finite() => Ok(score),
            _ => {
                let reason = format!("the `score` of {passage_of} is not a finite number");
                Err(Failure::input(place, reason))
            }
        }
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
        assert_eq!((raw(&second.id), raw(&second.score)), (None, Some("2.5")));
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
            error.contains("`passages[1]`: expected a string or an object"),
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
    fn options_that_change_scores_are_refused() {
        let read = |option: &str| {
            let text = format!("{{\"texts\": [\"a\"], {option}}}");
            read(&text, InputFormat::Auto).map(|_| ())
        };
        for option in [
            "\"truncate\": \"false\"",
            "\"truncation_direction\": \"Left\"",
            "\"max_tokens_per_doc\": 10",
        ] {
            let error = read(option).unwrap_err();
            assert!(error.contains("only `lanerank serve` reads it"), "{error}");
        }
        for option in [
            "\"truncate\": true",
            "\"truncation_direction\": \"Right\"",
            "\"max_tokens_per_doc\": null, \"top_n\": 1, \"raw_scores\": 1",
        ] {
            read(option).unwrap();
        }
    }

    #[test]
    fn errors_name_the_line() {
        let message = |text, format| read(text, format).unwrap_err();
        let error = message("{\"text\":\"a\"}\n{\"txt\":\"b\"}", InputFormat::Auto);
        assert!(
            error.starts_with("in:2: an object without `text`"),
            "{error}"
        );
        let error = message("{\"text\":\"a\"}\nplain", InputFormat::Auto);
        assert!(error.starts_with("in:2: "), "{error}");
        let error = message("{ braces } in text", InputFormat::Auto);
        assert!(error.contains("--format lines"), "{error}");
        let error = message("{\"passages\":[{\"text\":1}]}", InputFormat::Auto);
        assert_eq!(error, "in: `passages[0]`: `text` is not a string");
        let error = message("{\"text\":\"\\ud800\"}", InputFormat::Jsonl);
        assert!(error.starts_with("in:1: "), "{error}");
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
        for score in ["1e60", "-1e999", "\"1\"", "[]"] {
            let text = format!("[{{\"text\": \"a\", \"score\": {score}}}]");
            let request = read(&text, InputFormat::Auto).unwrap();
            let error = first_stage(&request.passages, &place).unwrap_err();
            let said = "in: the `score` of passage 1 of 1 is not a finite number";
            assert_eq!(error.to_string(), said, "{score}");
        }
    }
}
