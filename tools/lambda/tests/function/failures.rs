//! Errors in requests, events and settings, and their messages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http;
use lanerank_server::api::router;
use lanerank_server::{App, ServeOptions, ServeSettings};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::answers::start;
use crate::emulator::Report;
use crate::events::{Answer, Request, Trigger};

/// The server itself, for its status and body.
struct Server(axum::Router, tokio::runtime::Runtime);

impl Server {
    fn new() -> Server {
        let settings = ServeSettings::new(ServeOptions::default(), |file| Ok(PathBuf::from(file)));
        let app = App::open(settings.unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread();
        Server(
            router(Arc::new(app)),
            { runtime }.enable_all().build().unwrap(),
        )
    }

    fn answer(&self, request: &Request) -> (u64, Value) {
        let mut sent = http::Request::builder()
            .method(request.method)
            .uri(request.path);
        for (name, value) in &request.headers {
            sent = sent.header(*name, *value);
        }
        let sent = sent.body(Body::from(request.body.clone())).unwrap();
        self.1.block_on(async {
            let response = self.0.clone().oneshot(sent).await.unwrap();
            let status = response.status().as_u16().into();
            let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, serde_json::from_slice(&bytes).unwrap())
        })
    }
}

fn text(method: &'static str, path: &'static str, body: &str) -> Request<'static> {
    let request = Request::post(path, &json!(null));
    Request {
        method,
        body: body.as_bytes().to_vec(),
        ..request
    }
}

#[test]
fn wrong_requests_get_the_servers_errors() {
    let server = Server::new();
    let mut function = start(&[]);
    let long = json!({"query": "q", "texts": ["x".repeat((2 << 20) + 1)]}).to_string();
    let many = json!({"query": "q", "documents": vec!["x"; 1001]}).to_string();
    let bare = |path| Request {
        headers: Vec::new(),
        ..text("POST", path, "{}")
    };
    for (request, status) in [
        (text("POST", "/rerank", ""), 400),
        (text("POST", "/v1/rerank", "{\"query\": \"q\","), 400),
        (
            text("POST", "/rerank", "{\"query\": \"q\", \"texts\": []}"),
            400,
        ),
        (text("POST", "/v2/rerank", "{\"query\": \"q\"}"), 422),
        (
            text("POST", "/rerank", "{\"query\": 1, \"texts\": [\"x\"]}"),
            422,
        ),
        (
            text(
                "POST",
                "/v2/rerank",
                "{\"query\": \"q\", \"documents\": [\"x\"], \"top_n\": 0}",
            ),
            422,
        ),
        (text("POST", "/rerank", &long), 413),
        (text("POST", "/v1/rerank", &many), 413),
        (
            text(
                "POST",
                "/rerank",
                "{\"query\": \"q\", \"texts\": [\"x\"], \"model\": \"none\"}",
            ),
            404,
        ),
        (text("POST", "/v3/rerank", "{}"), 404),
        (text("GET", "/rerank", ""), 405),
        (bare("/rerank"), 415),
        (bare("/v2/rerank"), 415),
        (
            text(
                "POST",
                "/rerank",
                "{\"query\": \"q\", \"texts\": [\"x\"], \"deadline_ms\": 0}",
            ),
            504,
        ),
    ] {
        let expected = server.answer(&request);
        assert_eq!(expected.0, status, "{}", expected.1);
        for trigger in Trigger::ALL {
            let answer = Answer::of(trigger, &function.answer(&trigger.event(&request, true)));
            assert_eq!((answer.status, answer.json()), expected, "{trigger:?}");
        }
    }
}

#[test]
fn a_body_that_is_no_text() {
    let mut function = start(&[]);
    let request = Request {
        body: b"{\"query\": \"\xff\", \"texts\": [\"x\"]}".to_vec(),
        ..text("POST", "/rerank", "")
    };
    for trigger in Trigger::ALL {
        let answer = Answer::of(trigger, &function.answer(&trigger.event(&request, true)));
        assert_eq!(answer.status, 400, "{trigger:?}");
    }
}

/// The function reports every failed event and takes the next one.
#[test]
fn events_that_are_no_requests() {
    let mut function = start(&[]);
    let good = Request::post("/rerank", &json!({"query": "q", "texts": ["x"]}));
    let mut not_base64 = Trigger::HttpApi.event(&good, true);
    not_base64["body"] = json!("{\"query\": \"q\"}");
    let mut bad_method = Trigger::RestApi.event(&good, false);
    bad_method["httpMethod"] = json!("PO ST");
    for event in [
        json!(null),
        json!([]),
        json!("rerank"),
        json!({"query": "q", "texts": ["x"]}),
        json!({"Records": [{"eventSource": "aws:sqs", "body": "x"}]}),
        not_base64,
        bad_method,
    ] {
        match function.invoke(&event) {
            Report::Failure { body, .. } => {
                assert!(body["errorMessage"].is_string(), "{event}: {body}");
                assert!(body["errorType"].is_string(), "{event}: {body}");
            }
            other => panic!("{event}: {other:?}"),
        }
        let response = function.answer(&Trigger::HttpApi.event(&good, false));
        assert_eq!(response["statusCode"], 200);
    }
}

#[test]
fn tokens_guard_the_routes() {
    let mut function = start(&[("LANERANK_TOKEN", "secret")]);
    let request = Request::post("/rerank", &json!({"query": "q", "texts": ["x"]}));
    for (header, status) in [("Bearer secret", 200), ("Bearer wrong", 401)] {
        let event = Trigger::RestApi.event(&request.clone().with("Authorization", header), false);
        assert_eq!(function.answer(&event)["statusCode"], status);
    }
}

#[test]
fn why_it_does_not_start() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad.lane");
    std::fs::write(&path, b"not a model").unwrap();
    let bad = path.to_str().unwrap();
    for (name, value, words) in [
        ("LANERANK_MODEL", bad, "bad.lane"),
        ("LANERANK_MODEL", "/opt/missing.lane", "/opt/missing.lane"),
        ("LANERANK_MAX_BODY", "much", "--max-body"),
        ("LANERANK_ISA", "abacus", "abacus"),
        ("LANERANK_CONFIG", "/opt/missing.toml", "/opt/missing.toml"),
    ] {
        let mut function = start(&[(name, value)]);
        match function.report() {
            Report::NoStart { body } => {
                let message = body["errorMessage"].as_str().unwrap();
                assert!(message.contains(words), "{name}={value}: {message}");
                assert_eq!(body["errorType"], "Runtime.InitError");
            }
            other => panic!("{name}={value}: {other:?}"),
        }
        assert!(!function.ended().success());
    }
}
