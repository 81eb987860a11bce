//! Reads JSON without building more than a request needs: unknown fields are skipped, and lists are
//! counted while they are parsed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::RequestError;

/// Reads a value.
///
/// # Errors
/// When the text is not JSON, or not a `T`.
pub fn value<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RequestError> {
    serde_json::from_str(text).map_err(|e| RequestError::parser(text, &e))
}

/// Reads the first of several values; `None` if there is none.
///
/// # Errors
/// When it is not JSON, or not a `T`.
pub fn first<'a, T: Deserialize<'a>>(text: &'a str) -> Result<Option<T>, RequestError> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter();
    values
        .next()
        .transpose()
        .map_err(|e| RequestError::parser(text, &e))
}

/// Reads an object. Fields that `T` does not have are skipped, not held.
///
/// # Errors
/// When the text is not JSON, not an object, or not a `T`.
pub fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RequestError> {
    struct Object<T>(T);
    struct OnlyMaps<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMaps<T> {
        type Value = Object<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Object)
        }
    }
    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(OnlyMaps(PhantomData))
        }
    }
    value(text).map(|Object(read)| read)
}

/// Reads a part of a request; `name` says which.
///
/// # Errors
/// When it is not a `T`.
pub fn part<'a, T: Deserialize<'a>>(name: &str, raw: &'a RawValue) -> Result<T, RequestError> {
    value(raw.get()).map_err(|e| e.of_part(name))
}

/// Reads an array, and refuses it if it has more than `most` elements. No more are ever held.
///
/// # Errors
/// When it is not an array of `T`, or too long.
pub fn list<'a, T: Deserialize<'a>>(
    name: &str,
    raw: &'a RawValue,
    most: usize,
) -> Result<Vec<T>, RequestError> {
    struct Counted<T>(usize, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Counted<T> {
        type Value = (Vec<T>, usize);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let (mut taken, mut count) = (Vec::new(), 0);
            while count < self.0 {
                let Some(element) = seq.next_element()? else {
                    return Ok((taken, count));
                };
                taken.push(element);
                count += 1;
            }
            while let Some(IgnoredAny) = seq.next_element()? {
                count += 1;
            }
            Ok((taken, count))
        }
    }
    let text = raw.get();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_seq(Counted(most, PhantomData));
    let (taken, count) = read.map_err(|e| RequestError::parser(text, &e).of_part(name))?;
    if count > most {
        return Err(RequestError::TooManyTexts { count, most });
    }
    Ok(taken)
}

/// Reads one text, or an array of at most `most`.
///
/// # Errors
/// When it is neither, or too long.
pub fn texts(name: &str, raw: &RawValue, most: usize) -> Result<Vec<String>, RequestError> {
    match raw.get().as_bytes().first() {
        Some(b'"') => Ok(vec![part(name, raw)?]),
        Some(b'[') => list(name, raw, most),
        _ => {
            let what = "expected a string or an array of strings (token ids are not taken)";
            Err(RequestError::invalid(what).of_part(name))
        }
    }
}

/// A field that a request must have.
///
/// # Errors
/// When it has none.
pub fn required<T>(name: &str, field: Option<T>) -> Result<T, RequestError> {
    field.ok_or_else(|| RequestError::invalid(format!("missing field `{name}`")))
}
