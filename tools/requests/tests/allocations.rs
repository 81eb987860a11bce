//! Memory: a body makes the reader hold a small multiple of its bytes, whatever is in it.

use lanerank_requests::{RequestError, RerankFields, json};
use lanerank_testing::memory::{self, Counting};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Texts that are read at most.
const MOST: usize = 1000;

/// A JSON array of one element, many times.
fn list(element: &str, times: usize) -> String {
    format!("[{}]", vec![element; times].join(","))
}

fn read(body: &str) -> Result<Vec<String>, RequestError> {
    let fields: RerankFields = json::object(body)?;
    let documents = fields.documents(&["texts", "documents", "passages"], MOST)?;
    documents.iter().map(|read| Ok(read?.text)).collect()
}

/// The number of texts, or why there are none.
fn outcome(body: &str) -> Result<usize, &'static str> {
    match read(body) {
        Ok(texts) => Ok(texts.len()),
        Err(RequestError::Syntax(_)) => Err("syntax"),
        Err(RequestError::Invalid(_)) => Err("invalid"),
        Err(RequestError::TooManyTexts { .. }) => Err("too many"),
    }
}

#[test]
fn a_body_is_held_as_a_small_multiple_of_its_bytes() {
    let of = |list: &str| format!(r#"{{"query":"q","documents":{list}}}"#);
    let with = |field: &str| format!(r#"{{"documents":["a",{{"text":"b"}}],{field}}}"#);
    let deep = "[".repeat(300_000) + &"]".repeat(300_000);
    let names: Vec<String> = (0..100_000).map(|i| format!("\"{i}\"")).collect();
    for (body, expected) in [
        (of(&list("\"\"", 300_000)), Err("too many")),
        (of(&list("{}", 300_000)), Err("too many")),
        (of(&list("0", 300_000)), Err("too many")),
        (of(&list(r#"{"text":""}"#, MOST)), Ok(MOST)),
        (of(&list("0", MOST)), Err("invalid")),
        (of(&format!(r#"["{}"]"#, r"\n".repeat(300_000))), Ok(1)),
        (
            of(&format!(r#"["{}"]"#, r"\ud800".repeat(100_000))),
            Err("syntax"),
        ),
        (of(&format!(r#"[{{"text":"a","meta":{deep}}}]"#)), Ok(1)),
        (of(&format!(r#"[{{"text":{deep}}}]"#)), Err("invalid")),
        (of(&"[".repeat(600_000)), Err("syntax")),
        (
            of(&format!("[{{{}}}]", vec![r#""text":"""#; 50_000].join(","))),
            Ok(1),
        ),
        (with(&format!(r#""x":{deep}"#)), Ok(2)),
        (with(&format!(r#""x":{}"#, list("{}", 300_000))), Ok(2)),
        (
            with(&format!(r#""texts":{}"#, list("{}", 300_000))),
            Err("invalid"),
        ),
        (
            with(&format!(r#""rank_fields":[{}]"#, names.join(","))),
            Err("invalid"),
        ),
        (
            with(&format!(r#""rank_fields":{}"#, list("\"text\"", 100_000))),
            Ok(2),
        ),
        (with(&format!(r#""model":{deep}"#)), Err("invalid")),
        (
            with(&format!(r#""on_deadline":"{}""#, "x".repeat(600_000))),
            Err("invalid"),
        ),
        (
            format!(r#"{{"documents":[{{"a":{deep}}}],"rank_fields":["a"]}}"#),
            Err("syntax"),
        ),
        (
            format!(
                r#"{{"documents":[{{"a":{}}}],"rank_fields":["a"]}}"#,
                list("[0]", 100_000)
            ),
            Ok(1),
        ),
    ] {
        let (peak, got) = memory::peak_of(|| outcome(&body));
        let shown = &body[..60];
        assert_eq!(got, expected, "{shown}");
        let bound = 3 * body.len() + MOST * 128 + (64 << 10);
        assert!(peak <= bound, "{shown}: {peak} bytes of {}", body.len());
    }
}
