//! Booleans and numbers as other servers take them.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// The largest integer that a JSON number holds exactly in every client.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A boolean: also `"true"`, `"1"`, `1` and `1.0`, and the same for false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

/// A whole number: also `"10"` and `10.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

impl Count {
    /// As a size; a larger number is no limit.
    pub fn size(self) -> usize {
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
