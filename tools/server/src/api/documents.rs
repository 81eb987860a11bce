//! Documents of a request: strings, or objects whose `text` or `rank_fields` are read.
//!
//! An object stays the text that the client sent. A tree of values would take many times its bytes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::{ApiError, ErrorKind};
use super::json;

/// Most different names of `rank_fields`.
const MOST_FIELDS: usize = 1000;

/// The fields to read from documents that are objects: each name's first place in the list. A
/// repeated name is read once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RankFields(HashMap<String, usize>);

impl RankFields {
    /// `None` for an empty list.
    pub(super) fn new(raw: &RawValue) -> Result<Option<RankFields>, ApiError> {
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

/// The text that the model reads from a document.
pub(super) fn text(
    index: usize,
    document: &RawValue,
    fields: Option<&RankFields>,
) -> Result<String, ApiError> {
    let name = || format!("documents[{index}]");
    let wrong = |what: &str| {
        let message = format!("{}: {what}", name());
        Err(ApiError::new(ErrorKind::Validation, message))
    };
    match (document.get().as_bytes().first(), fields) {
        (Some(b'"'), _) => json::part(&name(), document),
        (Some(b'{'), None) => {
            let Entries(mut found) = entries(index, document, |key| (key == "text").then_some(0))?;
            match found.pop_first() {
                None => wrong("an object without `text`"),
                Some((_, (_, text))) if !is_string(text) => wrong("`text` is not a string"),
                Some((_, (_, text))) => json::part(&name(), text),
            }
        }
        (Some(b'{'), Some(RankFields(places))) => {
            let Entries(found) = entries(index, document, |key| places.get(key).copied())?;
            if found.is_empty() {
                return wrong("has none of `rank_fields`");
            }
            let mut lines = String::new();
            for (field, value) in found.values() {
                if !lines.is_empty() {
                    lines.push('\n');
                }
                lines.push_str(field);
                lines.push_str(": ");
                if is_string(value) {
                    lines.push_str(&json::part::<String>(&name(), value)?);
                } else {
                    compact(&name(), value, &mut lines)?;
                }
            }
            Ok(lines)
        }
        _ => wrong("expected a string or an object"),
    }
}

/// Whether a document is an object.
pub(super) fn is_object(document: &RawValue) -> bool {
    document.get().starts_with('{')
}

fn is_string(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// The wanted entries of an object, by their place. The last of several with one name counts.
struct Entries<'a>(BTreeMap<usize, (String, &'a RawValue)>);

fn entries<'a>(
    index: usize,
    object: &'a RawValue,
    place: impl Fn(&str) -> Option<usize>,
) -> Result<Entries<'a>, ApiError> {
    struct Wanted<P>(P);
    impl<'de, P: Fn(&str) -> Option<usize>> Visitor<'de> for Wanted<P> {
        type Value = Entries<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                if let Some(place) = (self.0)(&key) {
                    found.insert(place, (key, value));
                }
            }
            Ok(Entries(found))
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(object.get());
    let found = deserializer.deserialize_map(Wanted(place));
    found.map_err(|e| json::wrong_part(&format!("documents[{index}]"), object, &e))
}

/// Appends a value as JSON without spaces, without building it.
fn compact(name: &str, value: &RawValue, out: &mut String) -> Result<(), ApiError> {
    let mut deserializer = serde_json::Deserializer::from_str(value.get());
    let written = Compact(out).deserialize(&mut deserializer);
    written.map_err(|e| json::wrong_part(name, value, &e))
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

    #[test]
    fn fields_are_read_in_the_order_of_their_names() {
        let fields = RankFields::new(raw(r#"["b", "a", "b", "c", "absent"]"#)).unwrap();
        let document =
            r#"{"a": "x\u00e4", "c": {"k": [1.50, null, "q\n"], "e": []}, "b": true, "a": 2}"#;
        let text = text(0, raw(document), fields.as_ref()).unwrap();
        assert_eq!(
            text,
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
}
