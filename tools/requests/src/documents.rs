//! Documents of a request: strings, or objects whose `text` or `rank_fields` are read.
//!
//! An object stays the text that was sent. A tree of values would take many times its bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::RequestError;
use crate::json;

/// Most different names of `rank_fields`.
const MOST_FIELDS: usize = 1000;

/// The fields to read from documents that are objects: each name's first place in the list. A
/// repeated name is read once.
#[derive(Debug, PartialEq, Eq)]
pub struct RankFields(HashMap<String, usize>);

impl RankFields {
    /// `None` for an empty list.
    ///
    /// # Errors
    /// When it is not an array of names, or has too many.
    pub fn new(raw: &RawValue) -> Result<Option<RankFields>, RequestError> {
        let fields: RankFields = json::part("rank_fields", raw)?;
        Ok((!fields.0.is_empty()).then_some(fields))
    }
}

impl<'de> Deserialize<'de> for RankFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = RankFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RankFields, A::Error> {
                let mut fields = HashMap::new();
                while let Some(name) = seq.next_element::<String>()? {
                    let place = fields.len();
                    fields.entry(name).or_insert(place);
                    if fields.len() > MOST_FIELDS {
                        let message = format!("more than {MOST_FIELDS} names");
                        return Err(A::Error::custom(message));
                    }
                }
                Ok(RankFields(fields))
            }
        }
        deserializer.deserialize_seq(Names)
    }
}

/// The documents of a request, not read yet.
#[derive(Debug)]
pub struct Documents<'a> {
    name: &'static str,
    list: Vec<&'a RawValue>,
    fields: Option<RankFields>,
}

impl<'a> Documents<'a> {
    /// Reads an array of at most `most` documents; `name` is its name in messages.
    ///
    /// # Errors
    /// When it is not an array, or too long.
    pub fn new(
        name: &'static str,
        list: &'a RawValue,
        fields: Option<RankFields>,
        most: usize,
    ) -> Result<Documents<'a>, RequestError> {
        let list = json::list(name, list, most)?;
        Ok(Documents { name, list, fields })
    }

    /// The list's name in the request.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Reads a document; the message of an error names it.
    ///
    /// # Errors
    /// When it is neither a string nor an object with a text.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read(&self, index: usize) -> Result<Document<'a>, RequestError> {
        let read = Document::read(self.list[index], self.fields.as_ref());
        read.map_err(|e| e.of_part(format!("{}[{index}]", self.name)))
    }

    /// Reads all, in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Document<'a>, RequestError>> {
        (0..self.len()).map(|index| self.read(index))
    }

    /// The documents that are objects, as they were sent.
    pub fn objects(&self) -> impl Iterator<Item = Option<&'a RawValue>> {
        self.list.iter().map(|raw| is_object(raw).then_some(*raw))
    }
}

/// A document that was read. `id`, `meta` and `score` keep their JSON; they are absent if they are
/// null.
#[derive(Debug)]
pub struct Document<'a> {
    /// The text that the model reads.
    pub text: String,
    /// The caller's id.
    pub id: Option<&'a RawValue>,
    /// The caller's data.
    pub meta: Option<&'a RawValue>,
    /// The first stage's score, unchecked.
    pub score: Option<&'a RawValue>,
}

impl<'a> Document<'a> {
    /// Reads a document: a string, or an object with `text` or, if they are given, with one of
    /// these fields. The last of several fields with one name counts; other fields are skipped.
    ///
    /// # Errors
    /// When it is something else, or its text is.
    pub fn read(
        raw: &'a RawValue,
        fields: Option<&RankFields>,
    ) -> Result<Document<'a>, RequestError> {
        // Line and column would count from the start of a part.
        Self::read_parts(raw, fields).map_err(RequestError::without_place)
    }

    fn read_parts(
        raw: &'a RawValue,
        fields: Option<&RankFields>,
    ) -> Result<Document<'a>, RequestError> {
        if is_string(raw) {
            return Ok(Document {
                text: json::value(raw.get())?,
                id: None,
                meta: None,
                score: None,
            });
        }
        if !is_object(raw) {
            return Err(RequestError::invalid("expected a string or an object"));
        }
        let place = |key: &str| match fields {
            None => (key == "text").then_some(0),
            Some(RankFields(places)) => places.get(key).copied(),
        };
        let found = entries(raw, place)?;
        let text = match fields {
            None => whole_text(&found)?,
            Some(_) => joined(&found)?,
        };
        let given = |value: Option<&'a RawValue>| value.filter(|value| value.get() != "null");
        Ok(Document {
            text,
            id: given(found.id),
            meta: given(found.meta),
            score: given(found.score),
        })
    }
}

fn whole_text(found: &Entries) -> Result<String, RequestError> {
    match found.wanted.get(&0) {
        None => Err(RequestError::invalid("an object without `text`")),
        Some((_, text)) if !is_string(text) => Err(RequestError::invalid("`text` is not a string")),
        Some((_, text)) => json::value(text.get()),
    }
}

/// A line for each of the fields, in their order.
fn joined(found: &Entries) -> Result<String, RequestError> {
    if found.wanted.is_empty() {
        return Err(RequestError::invalid("has none of `rank_fields`"));
    }
    let mut lines = String::new();
    for (field, value) in found.wanted.values() {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(field);
        lines.push_str(": ");
        if is_string(value) {
            lines.push_str(&json::value::<String>(value.get())?);
        } else {
            compact(value, &mut lines)?;
        }
    }
    Ok(lines)
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// What is read of an object. The last of several entries with one name counts.
#[derive(Default)]
struct Entries<'a> {
    /// The entries that hold the text, by their place.
    wanted: BTreeMap<usize, (String, &'a RawValue)>,
    id: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
    score: Option<&'a RawValue>,
}

fn entries<'a>(
    object: &'a RawValue,
    place: impl Fn(&str) -> Option<usize>,
) -> Result<Entries<'a>, RequestError> {
    struct Wanted<P>(P);
    impl<'de, P: Fn(&str) -> Option<usize>> Visitor<'de> for Wanted<P> {
        type Value = Entries<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = Entries::default();
            while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                match key.as_str() {
                    "id" => found.id = Some(value),
                    "meta" => found.meta = Some(value),
                    "score" => found.score = Some(value),
                    _ => {}
                }
                if let Some(place) = (self.0)(&key) {
                    found.wanted.insert(place, (key, value));
                }
            }
            Ok(found)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    let found = deserializer.deserialize_map(Wanted(place));
    found.map_err(|e| RequestError::parser(object.get(), &e))
}

/// Appends a value as JSON without spaces, without building it.
fn compact(value: &RawValue, out: &mut String) -> Result<(), RequestError> {
    let mut deserializer = serde_json::Deserializer::from_str(value.get());
    let written = Compact(out).deserialize(&mut deserializer);
    written.map_err(|e| RequestError::parser(value.get(), &e))
}

struct Compact<'a>(&'a mut String);

impl Compact<'_> {
    fn scalar(self, value: impl Into<Value>) {
        self.0.push_str(&value.into().to_string());
    }
}

impl<'de> DeserializeSeed<'de> for Compact<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Compact<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.scalar(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.push('[');
        let start = self.0.len();
        while let Some(()) = seq.next_element_seed(Compact(self.0))? {
            self.0.push(',');
        }
        if self.0.len() > start {
            self.0.pop();
        }
        self.0.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.push('{');
        let start = self.0.len();
        while let Some(key) = map.next_key::<String>()? {
            Compact(self.0).scalar(key);
            self.0.push(':');
            map.next_value_seed(Compact(self.0))?;
            self.0.push(',');
        }
        if self.0.len() > start {
            self.0.pop();
        }
        self.0.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    fn text(document: &str, fields: Option<&RankFields>) -> Result<String, String> {
        let read = Document::read(raw(document), fields);
        read.map(|d| d.text).map_err(|e| e.to_string())
    }

    #[test]
    fn fields_are_read_in_the_order_of_their_names() {
        let fields = RankFields::new(raw(r#"["b", "a", "b", "c", "absent"]"#)).unwrap();
        let document =
            r#"{"a": "x\u00e4", "c": {"k": [1.50, null, "q\n"], "e": []}, "b": true, "a": 2}"#;
        assert_eq!(
            text(document, fields.as_ref()).unwrap(),
            "b: true\na: 2\nc: {\"k\":[1.5,null,\"q\\n\"],\"e\":[]}"
        );
        assert_eq!(RankFields::new(raw("[]")).unwrap(), None);
    }

    #[test]
    fn names_are_limited_and_repeats_are_not() {
        let list = |names: &[String]| serde_json::to_string(names).unwrap();
        let same = list(&vec!["a".to_owned(); 100_000]);
        assert_eq!(RankFields::new(raw(&same)).unwrap().unwrap().0.len(), 1);
        let different: Vec<String> = (0..=MOST_FIELDS).map(|i| i.to_string()).collect();
        assert!(RankFields::new(raw(&list(&different))).is_err());
        RankFields::new(raw(&list(&different[1..]))).unwrap();
    }

    #[test]
    fn ids_and_meta_are_kept_to_the_letter() {
        let object = r#"{"id": 12345678901234567890123, "text": "a",
                         "meta": {"z":1.0,"a":[]}, "score": 1e60, "other": {}}"#;
        let document = Document::read(raw(object), None).unwrap();
        let json = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
        assert_eq!(json(document.id).unwrap(), "12345678901234567890123");
        assert_eq!(json(document.meta).unwrap(), "{\"z\":1.0,\"a\":[]}");
        assert_eq!(json(document.score).unwrap(), "1e60");
        let nulls = r#"{"id": null, "meta": null, "score": null, "text": ""}"#;
        let document = Document::read(raw(nulls), None).unwrap();
        assert!(document.id.or(document.meta).or(document.score).is_none());
    }

    #[test]
    fn what_is_no_document_is_named() {
        for (document, said) in [
            ("1", "expected a string or an object"),
            ("null", "expected a string or an object"),
            ("[\"a\"]", "expected a string or an object"),
            ("{}", "an object without `text`"),
            (r#"{"text": null}"#, "`text` is not a string"),
            (r#"{"text": "a", "text": 1}"#, "`text` is not a string"),
            (r#"{"text": "\ud83c"}"#, "half of a surrogate pair"),
            (r#""\udf5e""#, "half of a surrogate pair"),
        ] {
            let error = text(document, None).unwrap_err();
            assert!(error.contains(said), "{document}: {error}");
        }
        assert_eq!(text(r#"{"text": 1, "text": "a"}"#, None).unwrap(), "a");
    }
}
