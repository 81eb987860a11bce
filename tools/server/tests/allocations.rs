//! Memory: a body makes the server hold a small multiple of its bytes, on every route.
//!
//! A separate process with one test, because the allocator counts for all threads.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use lanerank::model::Pooling;
use lanerank_convert::convert::WeightDtype;
use lanerank_server::api::router;
use lanerank_server::{App, ServeOptions, ServeSettings};
use lanerank_testing::memory::{self, Counting};
use lanerank_testing::models;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A body, the number of texts that it makes the server hold, and the status of its answer.
struct Case {
    name: &'static str,
    body: String,
    texts: usize,
    status: u16,
}

fn case(name: &'static str, body: String, texts: usize, status: u16) -> Case {
    Case {
        name,
        body,
        texts,
        status,
    }
}

/// A JSON array of one element, many times.
fn list(element: &str, times: usize) -> String {
    format!("[{}]", vec![element; times].join(","))
}

/// Bodies that hold much where a server builds what it does not need. `field` has the texts.
fn everywhere(field: &str, start: &str) -> Vec<Case> {
    let one = format!(r#"{start}"{field}":["a"]"#);
    vec![
        case(
            "unknown array",
            format!(r#"{one},"x":{}}}"#, list("0", 300_000)),
            1,
            200,
        ),
        case(
            "unknown objects",
            format!(r#"{one},"x":{}}}"#, list("{}", 300_000)),
            1,
            200,
        ),
        case(
            "unknown object",
            format!(r#"{one},"x":{{{}}}}}"#, vec![r#""":0"#; 200_000].join(",")),
            1,
            200,
        ),
        case(
            "too many texts",
            format!(r#"{start}"{field}":{}}}"#, list(r#""""#, 300_000)),
            1000,
            413,
        ),
        case(
            "most texts",
            format!(r#"{start}"{field}":{}}}"#, list(r#""""#, 1000)),
            1000,
            200,
        ),
        case(
            "numbers",
            format!(r#"{start}"{field}":{}}}"#, list("1", 1000)),
            1000,
            422,
        ),
        case(
            "a long text",
            format!(r#"{start}"{field}":["{}"]}}"#, "a ".repeat(300_000)),
            1,
            200,
        ),
        case(
            "escapes",
            format!(r#"{start}"{field}":["{}"]}}"#, r"\n".repeat(300_000)),
            1,
            200,
        ),
        case(
            "a long name",
            format!(r#"{one},"model":"{}"}}"#, r"\u0001".repeat(100_000)),
            1,
            404,
        ),
        case(
            "a long word",
            format!(r#"{one},"on_deadline":"{}"}}"#, "x".repeat(600_000)),
            1,
            422,
        ),
    ]
}

fn tei() -> Vec<Case> {
    let mut cases = everywhere("texts", r#"{"query":"q","#);
    let texts = list(&format!(r#""{}""#, "a ! ".repeat(200)), 500);
    for (name, option) in [
        ("return_text", r#""return_text":true"#),
        ("return_cut", r#""return_cut":true"#),
        (
            "cut from the left",
            r#""return_cut":true,"truncation_direction":"left""#,
        ),
    ] {
        let body = format!(r#"{{"query":"q","texts":{texts},{option}}}"#);
        cases.push(case(name, body, 500, 200));
    }
    // Words, each with a piece of the answer; the limit of tokens bounds them.
    let texts = list(r#""a!a!a!a!a!a!a!a""#, 500);
    let body = format!(r#"{{"query":"q","texts":{texts},"explain":true}}"#);
    cases.push(case("explain", body, 160 * (1 << 18) / 4096, 200));
    let query = "a ".repeat(100_000);
    let body = format!(r#"{{"query":"{query}","texts":{}}}"#, list(r#""b""#, 100));
    cases.push(case("a long query", body, 100, 200));
    cases
}

fn cohere() -> Vec<Case> {
    let mut cases = everywhere("documents", r#"{"query":"q","#);
    let fields = list(r#""a""#, 2000);
    let body = |rest: String| format!(r#"{{"query":"q",{rest}}}"#);
    let long = "x".repeat(2000);
    let repeated = body(format!(
        r#""documents":[{{"a":"{long}"}}],"rank_fields":{fields}"#
    ));
    cases.push(case("repeated fields", repeated, 1, 200));
    let names: Vec<String> = (0..100_000).map(|i| format!("\"{i}\"")).collect();
    let names = body(format!(
        r#""documents":[{{"1":2}}],"rank_fields":[{}]"#,
        names.join(",")
    ));
    cases.push(case("many fields", names, 1, 422));
    let objects = [
        ("an array in a document", list("0", 300_000)),
        ("objects in a document", list(r#"{"":0}"#, 100_000)),
    ];
    for (name, inner) in objects {
        let document = format!(r#"{{"text":"a","b":{inner}}}"#);
        let returned = body(format!(
            r#""documents":[{document}],"return_documents":true"#
        ));
        cases.push(case(name, returned, 1, 200));
        let ranked = body(format!(r#""documents":[{document}],"rank_fields":["b"]"#));
        cases.push(case(name, ranked, 1, 200));
    }
    let small = list(r#"{"text":"","b":{"c":{}}}"#, 1000);
    let small = body(format!(r#""documents":{small},"return_documents":true"#));
    cases.push(case("small objects", small, 1000, 200));
    cases
}

/// Every token is an object of the answer, and counts as a sixteenth of a text.
fn tokenize() -> Vec<Case> {
    let mut cases = everywhere("inputs", "{");
    cases.retain(|case| !["a long text", "escapes", "a long word"].contains(&case.name));
    let body = format!(r#"{{"inputs":"{}"}}"#, "a ".repeat(200_000));
    cases.push(case("many tokens", body, 200_000 / 16, 200));
    let body = format!(r#"{{"inputs":"{}"}}"#, "a ".repeat(300_000));
    cases.push(case("too many tokens", body, 0, 413));
    cases
}

fn routes() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("/rerank", tei()),
        ("/rerank", cohere()),
        ("/v1/rerank", cohere()),
        ("/v2/rerank", cohere()),
        ("/v1/reranking", cohere()),
        ("/v1/embeddings", everywhere("input", "{")),
        ("/tokenize", tokenize()),
    ]
}

fn app(folder: &std::path::Path, route: &str) -> Router {
    let (config, dtype) = match route {
        "/v1/embeddings" => (models::encoder(Pooling::Mean), WeightDtype::F32),
        _ => (models::classifier(1), WeightDtype::Int8),
    };
    let path = folder.join("m.lane");
    std::fs::write(&path, models::file(&config, dtype, 7)).unwrap();
    let options = ServeOptions {
        model: vec![path.to_str().unwrap().to_owned()],
        threads: Some(2),
        ..ServeOptions::default()
    };
    let settings = ServeSettings::new(options, |name| Ok(PathBuf::from(name))).unwrap();
    router(Arc::new(App::open(settings).unwrap()))
}

/// Bytes held at most while a body is answered, above those of the body as it was sent.
async fn peak(routes: &Router, path: &str, body: String) -> (StatusCode, usize) {
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.body(Body::from(body)).unwrap();
    let measurement = memory::start();
    let answer = routes.clone().oneshot(request).await.unwrap();
    (answer.status(), measurement.peak())
}

/// The bound that `README.md` states.
fn bound(body: usize, texts: usize) -> usize {
    4 * body + texts * (4 << 10) + (128 << 10)
}

#[test]
fn a_body_makes_the_server_hold_a_small_multiple_of_its_bytes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut broken = Vec::new();
    for (path, cases) in routes() {
        let folder = tempfile::tempdir().unwrap();
        let routes = app(folder.path(), path);
        for Case {
            name,
            body,
            texts,
            status,
        } in cases
        {
            let len = body.len();
            let (answered, peak) = runtime.block_on(peak(&routes, path, body));
            let line = format!("{path}, {name}: {answered}, {peak} bytes for {len}");
            println!("{line}");
            if answered.as_u16() != status || peak > bound(len, texts) {
                broken.push(line);
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
