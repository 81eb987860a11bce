//! Reads JSON without building more than a request needs: unknown fields are skipped, lists are
//! counted while they are parsed, and scalars are taken as other servers take them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::error::{ApiError, ErrorKind};
use crate::compute::ComputeError;

/// The largest integer that a JSON number holds exactly in every client.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The body as text.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|e| {
        let message = format!("the body is not UTF-8 from byte {} on", e.valid_up_to());
        ApiError::new(ErrorKind::Syntax, message)
    })
}

/// Reads an object. Fields that `T` does not have are skipped, not held.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
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
    let read: Result<Object<T>, _> = serde_json::from_str(text);
    read.map(|object| object.0).map_err(|e| wrong(text, &e))
}

/// Reads a part of the body; `name` says which.
pub(super) fn part<'a, T: Deserialize<'a>>(name: &str, raw: &'a RawValue) -> Result<T, ApiError> {
    serde_json::from_str(raw.get()).map_err(|e| wrong_part(name, raw, &e))
}

/// Reads an array, and refuses it if it has more than `most` elements. No more are ever held.
pub(super) fn list<'a, T: Deserialize<'a>>(
    name: &str,
    raw: &'a RawValue,
    most: usize,
) -> Result<Vec<T>, ApiError> {
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
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    let read = deserializer.deserialize_seq(Counted(most, PhantomData));
    let (taken, count) = read.map_err(|e| wrong_part(name, raw, &e))?;
    if count > most {
        return Err(ComputeError::TooManyTexts { count, most }.into());
    }
    Ok(taken)
}

/// Reads one text, or an array of at most `most`.
pub(super) fn texts(name: &str, raw: &RawValue, most: usize) -> Result<Vec<String>, ApiError> {
    match raw.get().as_bytes().first() {
        Some(b'"') => Ok(vec![part(name, raw)?]),
        Some(b'[') => list(name, raw, most),
        _ => {
            let what = "expected a string or an array of strings (token ids are not taken)";
            let message = format!("`{name}`: {what}");
            Err(ApiError::new(ErrorKind::Validation, message))
        }
    }
}

/// The error of a whole body.
fn wrong(text: &str, error: &serde_json::Error) -> ApiError {
    ApiError::new(kind(error), explained(text, error.to_string()))
}

/// The error of a part of the body. Its line and column would count from the part's start.
pub(super) fn wrong_part(name: &str, raw: &RawValue, error: &serde_json::Error) -> ApiError {
    let said = error.to_string();
    let said = said
        .rsplit_once(" at line ")
        .map_or(&*said, |(said, _)| said);
    ApiError::new(
        kind(error),
        explained(raw.get(), format!("`{name}`: {said}")),
    )
}

fn kind(error: &serde_json::Error) -> ErrorKind {
    match error.classify() {
        Category::Data => ErrorKind::Validation,
        _ => ErrorKind::Syntax,
    }
}

/// Adds what a client can do about half of a surrogate pair.
fn explained(text: &str, said: String) -> String {
    let hexadecimal = said.contains("surrogate") || said.contains("hex escape");
    match lone_surrogate(text).filter(|_| hexadecimal) {
        None => said,
        Some(escape) => format!(
            "{said}: `{escape}` is half of a surrogate pair and no character; send both halves or \
             U+FFFD (Python: \
             text.encode(\"utf-16\", \"surrogatepass\").decode(\"utf-16\", \"replace\"))"
        ),
    }
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

/// A boolean: also `"true"`, `"1"`, `1` and `1.0`, and the same for false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

/// A whole number: also `"10"` and `10.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl Count {
    /// As a size; a larger number is no limit.
    pub(super) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;
        impl Visitor<'_> for Plain {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Flag, E> {
                match value {
                    0 => Ok(Flag(false)),
                    1 => Ok(Flag(true)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                }
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Flag, E> {
                match value {
                    0.0 => Ok(Flag(false)),
                    1.0 => Ok(Flag(true)),
                    _ => Err(E::invalid_value(Unexpected::Float(value), &self)),
                }
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Flag, E> {
                let is = |words: [&str; 2]| words.iter().any(|w| value.eq_ignore_ascii_case(w));
                if is(["true", "1"]) {
                    Ok(Flag(true))
                } else if is(["false", "0"]) {
                    Ok(Flag(false))
                } else {
                    Err(E::invalid_value(Unexpected::Str(value), &self))
                }
            }
        }
        deserializer.deserialize_any(Plain)
    }
}

/// A number without a fraction.
fn whole(value: f64) -> Option<u64> {
    ((0.0..=EXACT).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Count, E> {
                Ok(Count(value))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Count, E> {
                let wrong = || E::invalid_value(Unexpected::Float(value), &self);
                whole(value).map(Count).ok_or_else(wrong)
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Count, E> {
                let digits = value.parse().ok();
                let number = digits.or_else(|| whole(value.parse().ok()?));
                let wrong = || E::invalid_value(Unexpected::Str(value), &self);
                number.map(Count).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(Whole)
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
    fn plain_scalars_are_coerced() {
        let flag = |text| serde_json::from_str::<Flag>(text).ok();
        for text in ["true", "1", "1.0", "\"true\"", "\"True\"", "\"1\""] {
            assert_eq!(flag(text), Some(Flag(true)), "{text}");
        }
        for text in ["false", "0", "0.0", "\"FALSE\"", "\"0\""] {
            assert_eq!(flag(text), Some(Flag(false)), "{text}");
        }
        for text in ["2", "-1", "0.5", "\"\"", "\"maybe\"", "[]", "null"] {
            assert_eq!(flag(text), None, "{text}");
        }
        let count = |text| serde_json::from_str::<Count>(text).ok();
        for text in ["10", "10.0", "1e1", "\"10\"", "\"10.0\""] {
            assert_eq!(count(text), Some(Count(10)), "{text}");
        }
        for text in ["-1", "1.5", "1e300", "\"soon\"", "\"\"", "\"NaN\"", "true"] {
            assert_eq!(count(text), None, "{text}");
        }
    }
}
