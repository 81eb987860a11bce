//! One body for the program and for the server: the same texts, ids, scores and refusals.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use lanerank_cli::failure::Place;
use lanerank_cli::passages::{self, InputFormat};
use lanerank_server::api::router;
use lanerank_server::{App, ServeOptions, ServeSettings};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::support::*;

/// The program and the server, with one model.
struct Both {
    runtime: Runtime,
    routes: Router,
    model: String,
    _files: Tiny,
}

impl Both {
    fn new() -> Both {
        let files = Tiny::new();
        let model = files.model();
        let options = ServeOptions {
            model: vec![format!("m={model}")],
            threads: Some(1),
            ..ServeOptions::default()
        };
        let settings = ServeSettings::new(options, |name| Ok(PathBuf::from(name))).unwrap();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        Both {
            runtime: runtime.worker_threads(1).enable_all().build().unwrap(),
            routes: router(Arc::new(App::open(settings).unwrap())),
            model,
            _files: files,
        }
    }

    /// The server's answer: the results, or its message.
    fn server(&self, body: &str) -> Result<Vec<Value>, String> {
        let request = Request::post("/rerank").header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (status, bytes) = self.runtime.block_on(async {
            let answer = self.routes.clone().oneshot(request).await.unwrap();
            let status = answer.status().as_u16();
            (status, to_bytes(answer.into_body(), 1 << 24).await.unwrap())
        });
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        if status == 200 {
            let results = answer.get("results").unwrap_or(&answer);
            return Ok(results.as_array().unwrap().clone());
        }
        assert!([400, 422].contains(&status), "{status}: {body}");
        let message = answer.get("error").unwrap_or(&answer["message"]);
        Err(message.as_str().unwrap().to_owned())
    }

    /// The program's answer: the results, or its message.
    fn program(&self, body: &str) -> Result<Vec<Value>, String> {
        let outcome = lanerank_with(&["rerank", "--json", "--model", &self.model], body);
        if outcome.code == 0 {
            return Ok(outcome.json().as_array().unwrap().clone());
        }
        outcome.refused("standard input");
        Err(outcome.stderr)
    }
}

/// Bodies that both read, and the texts in their order.
fn good() -> Vec<(String, Vec<&'static str>)> {
    let body = |rest: &str| format!("{{\"query\": \"bread\", {rest}}}");
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let mut all = Vec::new();
    for name in ["passages", "documents", "texts"] {
        for (list, texts) in [
            (
                r#"["fresh bread", "a lamp"]"#,
                &["fresh bread", "a lamp"][..],
            ),
            (
                r#"[ {"id": 12345678901234567890123, "text": "a"} , "b",
                     {"text": "c", "id": ["x"], "meta": {"z": 1.0}, "score": 2}]"#,
                &["a", "b", "c"],
            ),
            (r#"["", {"text": ""}]"#, &["", ""]),
            (
                r#"[{"text": "a", "score": "high", "id": null, "other": {}}]"#,
                &["a"],
            ),
            (
                r#"[{"text": 1, "text": "the last", "id": 1, "id": 2}]"#,
                &["the last"],
            ),
            (
                r#"["\ud83c\udf5e", "\u0000", "[SEP]"]"#,
                &["🍞", "\0", "[SEP]"],
            ),
        ] {
            all.push((body(&format!("\"{name}\": {list}")), texts.to_vec()));
        }
        // Both return `meta` and objects, and this test reads them.
        let meta = "[".repeat(100) + &"]".repeat(100);
        let hidden = format!(r#""x": {deep}, "{name}": [{{"text": "a", "meta": {meta}}}]"#);
        all.push((body(&hidden), vec!["a"]));
        let fields = r#""rank_fields": ["title", "absent", "n"]"#;
        let list = r#"[{"title": "t", "text": "x", "n": [1.50, {"k": null}]}, "plain"]"#;
        let texts = vec!["title: t\nn: [1.5,{\"k\":null}]", "plain"];
        all.push((body(&format!("\"{name}\": {list}, {fields}")), texts));
        let none = r#""rank_fields": [], "truncate": "true", "top_n": null, "unknown": 1e999"#;
        all.push((body(&format!(r#"{none}, "{name}": ["a"]"#)), vec!["a"]));
    }
    let agreeing = r#""texts": ["a"], "documents": ["a"], "passages": null"#;
    all.push((body(agreeing), vec!["a"]));
    all.push((
        "\n{\n\"texts\":\n[\"a\"],\"query\":\"\"\n}\n".to_owned(),
        vec!["a"],
    ));
    all
}

/// Bodies that both refuse.
fn bad() -> Vec<String> {
    let body = |rest: &str| format!("{{\"query\": \"bread\", {rest}}}");
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let mut all: Vec<String> = [
        r#""texts": [1]"#,
        r#""texts": "a""#,
        r#""texts": {"text": "a"}"#,
        r#""documents": ["a", null]"#,
        r#""documents": [["a"]]"#,
        r#""documents": ["a", {}]"#,
        r#""documents": [{"text": null}]"#,
        r#""documents": [{"text": "a", "text": 1}]"#,
        r#""documents": ["a", {"text": "\ud83c"}]"#,
        r#""passages": ["a", "b\udf5e"]"#,
        r#""passages": ["a" "b"]"#,
        r#""passages": ["a", "b""#,
        r#""passages": ["\x"]"#,
        r#""passages": ["a"], "passages": ["a"]"#,
        r#""passages": ["a"], "query": "again""#,
        r#""passages": ["a"], "texts": ["b"]"#,
        r#""documents": ["a"], "texts": ["a", "b"]"#,
        r#""documents": [{"text": "a"}], "rank_fields": ["b"]"#,
        r#""texts": ["a"], "rank_fields": "b""#,
        r#""texts": ["a"], "rank_fields": [1]"#,
        r#""texts": ["a"], "model": 1"#,
        r#""texts": ["a"], "top_n": -1"#,
        r#""texts": ["a"], "truncation_direction": "up""#,
        r#""texts": ["a"], "on_deadline": "cry""#,
        r#""texts": ["a"], "deadline_ms": "soon""#,
        r#""texts": ["a"], "explain": "maybe""#,
    ]
    .map(body)
    .to_vec();
    all.extend(
        [
            r#"{"query": 1, "texts": ["a"]}"#,
            r#"{"query": ["q"], "passages": ["a"]}"#,
            r#"{"query": "q", "texts": ["a"]} x"#,
            r#"{"query": "q", "texts": ["a"]}{"query": "q", "texts": ["a"]}"#,
            r#"{"query": "\ud83c", "texts": ["a"]}"#,
            "{\"query\": \"q\", \"texts\": [\"a\nb\"]}",
            "{",
        ]
        .map(str::to_owned),
    );
    all.push(body(&format!(r#""documents": [{deep}]"#)));
    all.push(body(&format!(r#""documents": {}"#, "[".repeat(10_000))));
    all.push(body(&format!(
        r#""documents": [{{"a": {deep}}}], "rank_fields": ["a"]"#
    )));
    let names: Vec<String> = (0..2000).map(|i| format!("\"{i}\"")).collect();
    let names = names.join(",");
    all.push(body(&format!(
        r#""documents": [{{"1": 2}}], "rank_fields": [{names}]"#
    )));
    let long = "x".repeat(10_000);
    all.push(body(&format!(r#""texts": ["a"], "on_deadline": "{long}""#)));
    all
}

#[test]
fn program_and_server_read_the_same_texts_and_ids() {
    let both = Both::new();
    for (body, texts) in good() {
        // Both return what they have read.
        let returning = r#"{"return_text": true, "return_documents": true,"#;
        let asked = body.trim_start().strip_prefix('{').unwrap();
        let server = both.server(&format!("{returning}{asked}")).unwrap();
        let program = both.program(&body).unwrap();
        assert_eq!((server.len(), program.len()), (texts.len(), texts.len()));
        for (server, program) in server.iter().zip(&program) {
            let index = program["index"].as_u64().unwrap() as usize;
            let shown = &body[..body.len().min(200)];
            assert_eq!(server["index"], program["index"], "{shown}");
            assert_eq!(program["text"], texts[index], "{shown}");
            let score = server.get("score").unwrap_or(&server["relevance_score"]);
            assert_eq!(score, &program["score"], "{shown}");
            if let Some(text) = server.get("text") {
                assert_eq!(text, texts[index], "{shown}");
            }
            if let Some(object) = server.get("document") {
                let id = object.get("id").unwrap_or(&Value::Null);
                assert_eq!(id, &program["id"], "{shown}");
            }
        }
    }
}

#[test]
fn program_and_server_refuse_the_same_bodies_with_the_same_words() {
    let both = Both::new();
    for body in bad() {
        let shown = &body[..body.len().min(200)];
        let server = both.server(&body).expect_err(shown);
        let program = both.program(&body).expect_err(shown);
        // The program says the line before the message and the column after it.
        let (said, rest) = server.split_once(" at line ").unwrap_or((&server, ""));
        assert!(program.contains(said), "{shown}: {server}, {program}");
        if let Some((_, advice)) = rest.split_once(": ") {
            assert!(program.contains(advice), "{shown}: {server}, {program}");
        }
    }
}

/// What is only the program's or only the server's.
#[test]
fn program_and_server_differ_where_they_say_so() {
    let both = Both::new();
    let read = |body: &str| {
        let request = passages::parse(body, InputFormat::Auto, &Place::named("in"));
        request
            .map(|request| request.passages.len())
            .map_err(|e| e.to_string())
    };
    // The program has its query from elsewhere, too.
    let unasked = r#"{"texts": ["a"]}"#;
    assert_eq!(read(unasked).unwrap(), 1);
    assert!(both.program(unasked).unwrap_err().contains("no query"));
    assert_eq!(both.server(unasked).unwrap_err(), "missing field `query`");
    // Nothing to rank is an error of a request, and a notice of the program.
    let empty = r#"{"query": "q", "texts": []}"#;
    assert_eq!(both.program(empty).unwrap().len(), 0);
    assert_eq!(both.server(empty).unwrap_err(), "`texts` cannot be empty");
    // A list without an object around it, and lines.
    for body in [
        r#"["a", {"text": "b"}]"#,
        "{\"text\": \"a\"}\n\"b\"",
        "a\nb",
    ] {
        assert_eq!(read(body).unwrap(), 2);
        both.server(body).unwrap_err();
    }
    // Truncation is the command's to decide.
    let cut = r#"{"query": "q", "documents": ["a"], "max_tokens_per_doc": 1}"#;
    assert!(read(cut).unwrap_err().contains("`max_tokens_per_doc`"));
    assert_eq!(both.server(cut).unwrap().len(), 1);
}
