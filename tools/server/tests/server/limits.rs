//! Limits, the queue, deadlines and disconnecting clients.

use std::io::Write;
use std::time::{Duration, Instant};

use lanerank_server::OnDeadline;
use lanerank_server::ServeOptions;
use serde_json::json;

use crate::support::{Files, Running, answer, eventually, exchange, request, slow};
use lanerank_testing::models::passages;

#[test]
fn bodies_texts_and_tokens_are_limited() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        max_body: Some(2000),
        max_documents: Some(20),
        max_tokens: Some(100),
        ..files.options()
    });
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        let field = if path == "/rerank" {
            "texts"
        } else {
            "documents"
        };
        let post = |texts: Vec<String>| server.post(path, &json!({"query": "a", field: texts}));
        post(vec!["b".into(); 20]).ok();
        for (texts, words) in [
            (vec!["b".into(); 21], "21 texts; a request may have 20"),
            (
                vec!["b c d".into(); 20],
                "140 tokens to compute; a request may have 100",
            ),
            (vec!["b".repeat(2000)], "longer than 2000 bytes"),
        ] {
            let answer = post(texts);
            assert_eq!(answer.status, 413);
            let body = String::from_utf8(answer.body).unwrap();
            assert!(body.contains(words), "{body}");
        }
        // Chunked, so that no length is declared.
        let chunk = format!("800\r\n{}\r\n", " ".repeat(2048));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n{chunk}"
        );
        assert_eq!(exchange(server.connect(), head.as_bytes()).status, 413);
    }
    // A body declared too long is refused before it is sent.
    let head = "POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 99999999999\r\n\r\n";
    assert_eq!(exchange(server.connect(), head.as_bytes()).status, 413);
    assert_eq!(
        server.metric("lanerank_rejected_total{reason=\"too_large\"}"),
        13.0
    );
}

#[test]
fn a_body_that_does_not_come_is_not_awaited() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        read_timeout: Some(100),
        ..files.options()
    });
    let head = "POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 50\r\n\r\n{";
    assert_eq!(exchange(server.connect(), head.as_bytes()).status, 408);
    // The same for a head.
    let mut stream = server.connect();
    stream.write_all(b"POST /rer").unwrap();
    let mut end = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut end).unwrap();
}

/// A server with one thread: model `s` is slow, model `c` is fast.
fn busy(files: &Files, options: ServeOptions) -> Running {
    Running::start(ServeOptions {
        model: vec![format!("s={}", slow(files)), files.text("c.lane")],
        threads: Some(1),
        ..options
    })
}

/// Waits until `count` requests have slots.
fn in_flight(server: &Running, what: &str, count: f64) {
    eventually(what, || {
        server.metric("lanerank_requests_in_flight") == count
    });
}

fn long_request(texts: usize) -> Vec<u8> {
    let body = json!({"query": "how to keep bread", "texts": passages(texts, 1)}).to_string();
    let headers = [("content-type", "application/json")];
    request("POST", "/rerank", &headers, body.as_bytes())
}

#[test]
fn a_full_queue_refuses() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            queue: Some(2),
            max_documents: Some(100_000),
            max_tokens: Some(10_000_000),
            deadline: Some(0),
            ..ServeOptions::default()
        },
    );
    let long = long_request(4_000);
    let mut waiting: Vec<_> = (0..2).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(&long).unwrap();
    }
    in_flight(&server, "both have places", 2.0);
    assert_eq!(server.get("/ready").status, 503);
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        let field = if path == "/rerank" {
            "texts"
        } else {
            "documents"
        };
        let answer = server.post(path, &json!({"query": "a", field: ["b"]}));
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("1"));
        let body = answer.json();
        match path {
            "/rerank" => assert_eq!(body["error_type"], "Overloaded"),
            _ => assert!(
                body["message"]
                    .as_str()
                    .unwrap()
                    .contains("too many requests")
            ),
        }
    }
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(
        server.metric("lanerank_rejected_total{reason=\"overloaded\"}"),
        3.0
    );
    // The clients disconnect, which cancels their work.
    drop(waiting);
    in_flight(&server, "places are free", 0.0);
    // A request frees its slot an instant before it counts as cancelled.
    eventually("both count as cancelled", || {
        server.metric("lanerank_cancelled_total") == 2.0
    });
    assert_eq!(server.metric("lanerank_queue_depth"), 0.0);
    server
        .post("/rerank", &json!({"query": "a", "texts": ["b"]}))
        .ok();
    assert_eq!(server.get("/ready").status, 200);
}

/// Much work is cancelled. If it were not, the next request, and so the test, would wait for it.
#[test]
fn a_client_that_goes_away_takes_its_work_along() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            max_body: Some(100 << 20),
            max_documents: Some(1_000_000),
            max_tokens: Some(100_000_000),
            deadline: Some(0),
            ..ServeOptions::default()
        },
    );
    let mut gone = server.connect();
    gone.write_all(&long_request(40_000)).unwrap();
    in_flight(&server, "it is under way", 1.0);
    drop(gone);
    in_flight(&server, "it is gone", 0.0);
    server
        .post(
            "/rerank",
            &json!({"query": "a", "texts": ["b"], "deadline_ms": 20_000}),
        )
        .ok();
}

/// A small request is answered while a large one is computed on the only thread.
#[test]
fn small_requests_do_not_wait_for_large_ones() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            max_documents: Some(100_000),
            max_tokens: Some(10_000_000),
            deadline: Some(0),
            ..ServeOptions::default()
        },
    );
    let mut large = server.connect();
    large.write_all(&long_request(4_000)).unwrap();
    in_flight(&server, "it is under way", 1.0);
    for _ in 0..3 {
        let body = json!({"query": "a", "texts": ["b"]});
        server.post("/rerank", &body).ok();
        assert_eq!(
            server.metric("lanerank_requests_in_flight"),
            1.0,
            "the large one is not done"
        );
    }
}

#[test]
fn a_deadline_gives_an_error_or_a_part() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            max_documents: Some(100_000),
            max_tokens: Some(10_000_000),
            ..ServeOptions::default()
        },
    );
    let texts = passages(5_000, 1);
    let body = json!({"query": "how to keep bread", "texts": texts});
    let begun = Instant::now();
    let late = server.post_with("/rerank", &[("x-deadline-ms", "300")], &body);
    assert_eq!(late.status, 504);
    assert_eq!(late.json()["error_type"], "Timeout");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it was not cut short"
    );
    // Double the deadline until this machine, however busy, has scored some of the texts.
    let mut ms = 300;
    let (part, scored) = loop {
        let ms_text = ms.to_string();
        let headers = [
            ("x-deadline-ms", ms_text.as_str()),
            ("x-on-deadline", "partial"),
        ];
        let part = server.post_with("/rerank", &headers, &body);
        let scored = part.ok().as_array().unwrap().len();
        if scored > 0 || ms > 30_000 {
            break (part, scored);
        }
        ms *= 2;
    };
    let missing: usize = part.header("x-unscored").unwrap().parse().unwrap();
    assert_eq!(scored + missing, texts.len());
    assert!(scored > 0 && missing > 0, "{scored}");
    // The scored texts are the first of the list, the first stage's best. Their bits are those of a
    // request for them alone.
    let first = json!({"query": "how to keep bread", "texts": &texts[..scored]});
    assert_eq!(part.json(), server.post("/rerank", &first).ok());
    // Fields override headers.
    let headers = [("x-deadline-ms", "60000"), ("x-on-deadline", "error")];
    let mut none =
        json!({"query": "a", "documents": texts, "deadline_ms": 0, "on_deadline": "partial"});
    let answer = server.post_with("/v2/rerank", &headers, &none);
    assert_eq!(answer.ok()["results"], json!([]));
    let warning = answer.json()["meta"]["warnings"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(warning.contains("5000 documents"), "{warning}");
    none["on_deadline"] = json!("error");
    assert_eq!(server.post_with("/v2/rerank", &headers, &none).status, 504);
    assert_eq!(
        server.metric("lanerank_rejected_total{reason=\"deadline\"}"),
        2.0
    );
}

#[test]
fn the_settings_deadline_holds_where_a_request_has_none() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            deadline: Some(200),
            on_deadline: Some(OnDeadline::Partial),
            max_documents: Some(100_000),
            max_tokens: Some(10_000_000),
            ..ServeOptions::default()
        },
    );
    let answer = exchange(server.connect(), &long_request(4_000));
    assert!(answer.header("x-unscored").is_some());
    answer.ok();
}

/// A request may shorten the server's deadline, not extend it.
#[test]
fn the_settings_deadline_caps_that_of_a_request() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            deadline: Some(200),
            on_deadline: Some(OnDeadline::Partial),
            max_documents: Some(100_000),
            max_tokens: Some(10_000_000),
            ..ServeOptions::default()
        },
    );
    let texts = passages(4_000, 1);
    let body = json!({"query": "how to keep bread", "texts": texts, "deadline_ms": 600_000});
    let answer = server.post("/rerank", &body);
    assert!(answer.header("x-unscored").is_some());
    let headers = [("x-deadline-ms", "600000")];
    let body = json!({"query": "how to keep bread", "documents": texts});
    let answer = server.post_with("/v2/rerank", &headers, &body);
    assert!(answer.header("x-unscored").is_some());
}

/// The tokens of a query that no pair has room for are read too.
#[test]
fn a_long_query_counts() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        max_tokens: Some(100),
        ..files.options()
    });
    for model in ["c", "e"] {
        for path in ["/rerank", "/v2/rerank"] {
            let field = if path == "/rerank" {
                "texts"
            } else {
                "documents"
            };
            let query = |words: usize| "bread ".repeat(words);
            let body = |n| json!({"query": query(n), field: ["a"], "model": model});
            server.post(path, &body(20)).ok();
            let answer = server.post(path, &body(200));
            assert_eq!(answer.status, 413, "{path} {model}");
            let said = String::from_utf8(answer.body).unwrap();
            assert!(said.contains("tokens to compute"), "{said}");
        }
    }
}

#[test]
fn connections_beyond_the_limit_wait() {
    let files = Files::new();
    let server = busy(
        &files,
        ServeOptions {
            max_connections: Some(1),
            max_documents: Some(100_000),
            max_tokens: Some(10_000_000),
            deadline: Some(0),
            ..ServeOptions::default()
        },
    );
    let mut first = server.connect();
    first.write_all(&long_request(4_000)).unwrap();
    let mut second = server.connect();
    second
        .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    assert!(
        std::io::Read::read(&mut second, &mut [0]).is_err(),
        "nobody answers yet"
    );
    drop(first);
    second
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(answer(&second).status, 200);
}

/// An idle connection, and one with half a head, are closed when another client needs them.
#[test]
fn quiet_connections_give_way() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        max_connections: Some(1),
        read_timeout: Some(600_000),
        ..files.options()
    });
    let mut idle = server.connect();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(answer(&idle).status, 200);
    let mut half = server.connect();
    half.write_all(b"GET /heal").unwrap();
    assert_eq!(std::io::Read::read(&mut idle, &mut [0]).unwrap(), 0);
    server.get("/health").ok();
    assert_eq!(std::io::Read::read(&mut half, &mut [0]).unwrap(), 0);
}

/// Many requests whose answers the client does not read.
fn unread(server: &Running) -> std::net::TcpStream {
    let mut stream = server.connect();
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(5_000);
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    // The server stops reading when it cannot write.
    let _ = stream.write_all(requests.as_bytes());
    stream
}

#[test]
fn answers_that_nobody_reads_end_the_connection() {
    let files = Files::new();
    let server = Running::start(ServeOptions {
        write_timeout: Some(100),
        read_timeout: Some(600_000),
        ..files.options()
    });
    let _stream = unread(&server);
    eventually("only this one is open", || {
        server.metric("lanerank_connections") == 1.0
    });
}

#[test]
fn a_stop_does_not_wait_for_quiet_connections() {
    let files = Files::new();
    let mut server = Running::start(ServeOptions {
        write_timeout: Some(600_000),
        read_timeout: Some(600_000),
        drain_timeout: Some(600_000),
        ..files.options()
    });
    let _stream = unread(&server);
    let mut half = server.connect();
    half.write_all(b"POST /rer").unwrap();
    server.get("/health").ok();
    server.tell(lanerank_server::Phase::Draining);
    server.ended();
}
