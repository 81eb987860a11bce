//! Which of two labels means "relevant".
//!
//! lanerank scores label 1 less label 0. A model whose names say the opposite has the rows of its
//! classifier exchanged.

use serde_json::Value;

/// Names of relevant passages, in letters and digits.
const YES: [&str; 12] = [
    "relevant",
    "yes",
    "true",
    "positive",
    "pos",
    "match",
    "duplicate",
    "paraphrase",
    "similar",
    "entailment",
    "equivalent",
    "1",
];
/// Names of other passages.
const NO: [&str; 12] = [
    "irrelevant",
    "no",
    "false",
    "negative",
    "neg",
    "mismatch",
    "different",
    "unrelated",
    "dissimilar",
    "contradiction",
    "neutral",
    "0",
];
/// Beginnings of a name that turn the rest into its opposite.
const NOT: [&str; 5] = ["not", "non", "no", "un", "ir"];

/// What the names of two labels say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Label 1 is the relevant one.
    Usual,
    /// Label 0 is.
    Reversed,
    /// Nothing.
    Unnamed,
}

impl Order {
    /// What the user should know.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Order::Usual => None,
            Order::Reversed => Some(
                "the labels' names say that label 0 is the relevant one: the two were exchanged",
            ),
            Order::Unnamed => Some(
                "the labels' names do not say which one is relevant: a score is label 1 less \
                 label 0",
            ),
        }
    }
}

/// Reads the names of two labels.
///
/// # Errors
/// When both names mean the same.
pub(super) fn order(first: &Value, second: &Value) -> Result<Order, String> {
    let (a, b) = (plain(first), plain(second));
    if a == "label0" && b == "label1" {
        return Ok(Order::Usual);
    }
    // not_X against X, whatever X is.
    let negates = |long: &str, short: &str| {
        !short.is_empty() && NOT.iter().any(|not| long.strip_prefix(not) == Some(short))
    };
    match (is_relevant(&a), is_relevant(&b)) {
        _ if negates(&a, &b) => Ok(Order::Usual),
        _ if negates(&b, &a) => Ok(Order::Reversed),
        (Some(false), Some(true) | None) | (None, Some(true)) => Ok(Order::Usual),
        (Some(true), Some(false) | None) | (None, Some(false)) => Ok(Order::Reversed),
        (None, None) if a == "label1" && b == "label0" => Ok(Order::Reversed),
        (None, None) => Ok(Order::Unnamed),
        (Some(_), Some(_)) => Err(format!(
            "the two labels are named {first} and {second}: which one is relevant is not \
             clear; name them in the file \"not_relevant\" and \"relevant\""
        )),
    }
}

/// Lower case, letters and digits only.
fn plain(name: &Value) -> String {
    let name = match name {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

fn is_relevant(name: &str) -> Option<bool> {
    if YES.contains(&name) {
        return Some(true);
    }
    let rest = NOT.iter().find_map(|not| name.strip_prefix(not));
    let negated = rest.is_some_and(|rest| YES.contains(&rest));
    (negated || NO.contains(&name)).then_some(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_decide() {
        let of = |first: &str, second: &str| order(&json!(first), &json!(second));
        for (no, yes) in [
            ("not_relevant", "relevant"),
            ("irrelevant", "relevant"),
            ("non-relevant", "Relevant"),
            ("no", "yes"),
            ("False", "True"),
            ("NEGATIVE", "POSITIVE"),
            ("not_entailment", "entailment"),
            ("not_helpful", "helpful"),
            ("0", "1"),
            ("LABEL_0", "LABEL_1"),
            ("other", "match"),
        ] {
            assert_eq!(of(no, yes), Ok(Order::Usual), "{no} {yes}");
            assert_eq!(of(yes, no), Ok(Order::Reversed), "{yes} {no}");
        }
        assert_eq!(order(&json!(1), &json!(0)), Ok(Order::Reversed));
        assert_eq!(of("a", "b"), Ok(Order::Unnamed));
        let error = of("yes", "relevant").unwrap_err();
        assert!(error.contains("\"yes\" and \"relevant\""), "{error}");
    }
}
