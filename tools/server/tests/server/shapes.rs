//! Errors, in the shape of each route's API.

use lanerank_server::ServeOptions;
use serde_json::{Value, json};

use crate::support::{Answer, Files, Running, answer, exchange, request};

/// The message, from the field where the route's API has it.
fn message(path: &str, answer: &Answer) -> String {
    let body = answer.json();
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_else(|| panic!("{path}: {body}"))
            .to_owned()
    };
    match path {
        "/v1/rerank" | "/v2/rerank" => {
            assert_eq!(body["message"], body["detail"]);
            text(&body["message"])
        }
        "/v1/embeddings" => {
            assert_eq!(body["error"]["code"], answer.status);
            text(&body["error"]["type"]);
            text(&body["error"]["message"])
        }
        _ => {
            text(&body["error_type"]);
            text(&body["error"])
        }
    }
}

fn bodies() -> [(&'static str, Value); 4] {
    [
        ("/rerank", json!({"query": "a", "texts": ["b"]})),
        ("/v1/rerank", json!({"query": "a", "documents": ["b"]})),
        ("/v2/rerank", json!({"query": "a", "documents": ["b"]})),
        ("/v1/embeddings", json!({"input": "a", "model": "e"})),
    ]
}

#[test]
fn bad_bodies_are_named() {
    let files = Files::new();
    let server = Running::start(files.options());
    for (path, good) in bodies() {
        server.post(path, &good).ok();
        for (body, status, words) in [
            ("", 400, "EOF"),
            ("{", 400, "EOF"),
            ("{\"a\" 1}", 400, "expected `:`"),
            ("[1,2]", 422, "invalid type: sequence"),
            ("{}", 422, "missing field"),
            ("null", 422, "invalid type"),
            ("\"\\ud800\"", 400, "lone leading surrogate"),
            ("\u{0}", 400, "expected value"),
        ] {
            let headers = [("content-type", "application/json")];
            let request = request("POST", path, &headers, body.as_bytes());
            let answer = exchange(server.connect(), &request);
            assert_eq!(answer.status, status, "{path} {body}");
            let message = message(path, &answer);
            // serde_json has several messages for lone surrogates.
            assert!(
                message.contains(words) || body.contains("ud800"),
                "{path} {body}: {message}"
            );
        }
        let mut wrong = good.clone();
        wrong["deadline_ms"] = json!("soon");
        let answer = server.post(path, &wrong);
        assert_eq!(answer.status, 422, "{path}");
        let not_utf8 = request(
            "POST",
            path,
            &[("content-type", "application/json")],
            b"\"\xff\"",
        );
        assert_eq!(exchange(server.connect(), &not_utf8).status, 400, "{path}");
        let body = good.to_string();
        for media in [&[][..], &[("content-type", "text/plain")]] {
            let plain = request("POST", path, media, body.as_bytes());
            let answer = exchange(server.connect(), &plain);
            assert_eq!(answer.status, 415, "{path}");
            message(path, &answer);
        }
        let answer = server.get(path);
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("POST")),
            "{path}"
        );
        message(path, &answer);
    }
    let answer = server.get("/nothing/here");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error_type"], "NotFound");
}

#[test]
fn requests_that_make_no_sense_are_named() {
    let files = Files::new();
    let server = Running::start(files.options());
    for (path, body, status, words) in [
        (
            "/rerank",
            json!({"query": "a", "texts": []}),
            400,
            "`texts` cannot be empty",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": []}),
            400,
            "`documents` cannot be empty",
        ),
        (
            "/v1/embeddings",
            json!({"input": [], "model": "e"}),
            400,
            "`input` cannot be empty",
        ),
        (
            "/v1/embeddings",
            json!({"input": "a"}),
            422,
            "cross-encoder",
        ),
        (
            "/v1/embeddings",
            json!({"input": [[1]], "model": "e"}),
            422,
            "expected a string",
        ),
        (
            "/v1/embeddings",
            json!({"input": 1, "model": "e"}),
            422,
            "token ids",
        ),
        (
            "/v1/embeddings",
            json!({"input": "a", "model": "e", "dimensions": 7}),
            422,
            "has 48",
        ),
        (
            "/v2/rerank",
            json!({"query": "a", "documents": ["b"], "top_n": 0}),
            422,
            "at least 1",
        ),
        (
            "/v2/rerank",
            json!({"query": "a", "documents": ["b"], "top_n": -1}),
            422,
            "-1",
        ),
        (
            "/v2/rerank",
            json!({"query": "a", "documents": ["b"], "max_tokens_per_doc": 0}),
            422,
            "at least 1",
        ),
        (
            "/v2/rerank",
            json!({"query": "a", "documents": ["b", {}]}),
            422,
            "documents[1]",
        ),
        (
            "/v2/rerank",
            json!({"query": "a", "documents": [{"text": 1}]}),
            422,
            "not a string",
        ),
        (
            "/v2/rerank",
            json!({"query": "a", "documents": [5]}),
            422,
            "a string or an object",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": [{"text": "b"}], "rank_fields": ["c"]}),
            422,
            "rank_fields",
        ),
        (
            "/rerank",
            json!({"query": "a", "texts": ["b", {"txt": "c"}]}),
            422,
            "`texts[1]`: an object without `text`",
        ),
        (
            "/rerank",
            json!({"query": "a", "texts": ["b"], "documents": ["c"]}),
            422,
            "`texts` and `documents` differ",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "passages": ["b"]}),
            422,
            "missing field `documents`",
        ),
        (
            "/rerank",
            json!({"query": "a", "texts": ["b"], "model": "x"}),
            404,
            "there is c, e",
        ),
        (
            "/v1/rerank",
            json!({"query": "a", "documents": ["b"], "model": ""}),
            404,
            "no model",
        ),
        (
            "/rerank",
            json!({"query": "a", "texts": ["b"], "truncation_direction": "up"}),
            422,
            "unknown variant `up`",
        ),
        (
            "/rerank",
            json!({"query": "a", "texts": ["b"], "on_deadline": "cry"}),
            422,
            "unknown variant `cry`",
        ),
    ] {
        let answer = server.post(path, &body);
        assert_eq!(answer.status, status, "{path} {body}");
        let message = message(path, &answer);
        assert!(message.contains(words), "{path} {body}: {message}");
    }
    for (name, value) in [
        ("x-deadline-ms", "soon"),
        ("x-deadline-ms", "-1"),
        ("x-on-deadline", "cry"),
    ] {
        let body = json!({"query": "a", "texts": ["b"]});
        let answer = server.post_with("/rerank", &[(name, value)], &body);
        assert_eq!(answer.status, 422);
        assert!(message("/rerank", &answer).contains(name));
    }
    assert!(server.metric("lanerank_rejected_total{reason=\"validation\"}") > 10.0);
    assert_eq!(
        server.metric("lanerank_rejected_total{reason=\"backend\"}"),
        0.0
    );
}

/// Unusual texts have scores like any others.
#[test]
fn odd_texts_are_no_error() {
    let files = Files::new();
    let server = Running::start(files.options());
    let long = "bread ".repeat(100_000);
    let texts = [
        "",
        " ",
        "\u{0}\u{fffd}\u{202e}",
        "[SEP] [CLS]",
        "𝕭🍞",
        long.as_str(),
    ];
    for query in ["", "bread", long.as_str()] {
        let answer = server
            .post("/rerank", &json!({"query": query, "texts": texts}))
            .ok();
        assert_eq!(answer.as_array().unwrap().len(), texts.len());
    }
}

#[test]
fn what_is_not_http_ends_the_connection() {
    let files = Files::new();
    let server = Running::start(files.options());
    for bytes in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
    ] {
        let answer = exchange(server.connect(), bytes);
        assert_eq!(answer.status, 400);
    }
    let head = format!("GET /health HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(300_000));
    assert_eq!(exchange(server.connect(), head.as_bytes()).status, 431);
    server.get("/health").ok();
}

/// A request that is refused before its body was read does not lose the next one: the server reads
/// the body, or says that it closes the connection.
#[test]
fn unread_bodies_do_not_lose_the_next_request() {
    use std::io::Write;

    let files = Files::new();
    let server = Running::start(ServeOptions {
        token: Some("secret".into()),
        max_body: Some(10_000),
        ..files.options()
    });
    let bearer = "authorization: Bearer secret\r\n";
    let json = "content-type: application/json\r\n";
    for (line, headers, length, status, kept) in [
        ("POST /rerank", json.to_owned(), 5000, 401, true),
        ("POST /nothing", json.to_owned(), 5000, 404, true),
        ("POST /health", json.to_owned(), 5000, 405, true),
        ("POST /rerank", bearer.to_owned(), 5000, 415, true),
        (
            "POST /rerank",
            format!("{bearer}{json}"),
            20_000,
            413,
            false,
        ),
        ("POST /rerank", json.to_owned(), 20_000, 401, false),
        (
            "GET /nothing",
            "expect: 100-continue\r\n".to_owned(),
            5000,
            404,
            false,
        ),
    ] {
        let mut stream = server.connect();
        let head =
            format!("{line} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        if kept {
            stream.write_all(&vec![b' '; length]).unwrap();
        }
        let refused = answer(&stream);
        assert_eq!(refused.status, status, "{line} {headers}");
        assert_eq!(
            refused.header("connection") == Some("close"),
            !kept,
            "{line} {headers}"
        );
        if kept {
            stream
                .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            assert_eq!(answer(&stream).status, 200, "{line} {headers}");
        }
    }
}

/// Clients of Cohere's shape without `/v1`, and scalars as Python's clients send them.
#[test]
fn bodies_of_other_servers_clients_are_understood() {
    let files = Files::new();
    let server = Running::start(files.options());
    let documents = json!({"query": "bread", "documents": ["fresh bread", "a lamp"], "top_n": 1});
    let want = server.post("/v1/rerank", &documents).ok();
    for path in [
        "/rerank",
        "/rerank/",
        "/reranking",
        "/v1/reranking",
        "/v1/rerank/",
    ] {
        let got = server.post(path, &documents).ok();
        assert_eq!(got["results"], want["results"], "{path}");
        assert_eq!(got["results"].as_array().unwrap().len(), 1);
    }
    let texts = json!({"query": "bread", "texts": ["a"]});
    assert!(server.post("/reranking", &texts).ok().is_array());
    let objects = json!({"query": "bread", "texts": ["fresh bread", {"text": "a lamp", "id": 1}]});
    let want = server.post("/rerank", &objects).ok();
    for (name, list) in [
        ("texts", json!(["fresh bread", "a lamp"])),
        ("passages", json!([{"text": "fresh bread"}, "a lamp"])),
    ] {
        let body = json!({"query": "bread", name: list});
        assert_eq!(server.post("/rerank", &body).ok(), want);
    }
    let refused = server.post("/rerank", &json!({"query": "bread", "documents": []}));
    assert_eq!(refused.status, 400);
    assert_eq!(
        message("/v1/rerank", &refused),
        "`documents` cannot be empty"
    );
    for (name, value) in [
        ("top_n", json!("1")),
        ("top_n", json!(1.0)),
        ("top_k", json!(1)),
        ("max_tokens_per_doc", json!(3.0)),
        ("deadline_ms", json!("9000")),
    ] {
        let mut body = json!({"query": "bread", "documents": ["bread", "lamp"]});
        body[name] = value;
        let count = server.post("/v2/rerank", &body).ok()["results"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(count, if name.starts_with("top") { 1 } else { 2 }, "{body}");
    }
    for (yes, no) in [
        (json!("true"), json!("False")),
        (json!(1), json!(0)),
        (json!("1"), json!(null)),
    ] {
        let body = |flag| json!({"query": "bread", "documents": ["a"], "return_documents": flag});
        let returned = server.post("/v2/rerank", &body(&yes)).ok();
        assert_eq!(returned["results"][0]["document"], json!({"text": "a"}));
        let returned = server.post("/v2/rerank", &body(&no)).ok();
        assert!(returned["results"][0].get("document").is_none());
        let body = json!({"query": "bread", "texts": ["a"], "return_text": yes});
        assert_eq!(server.post("/rerank", &body).ok()[0]["text"], "a");
    }
    let both = json!({"query": "a", "documents": ["b"], "top_n": 1, "top_k": 2});
    assert_eq!(server.post("/v1/rerank", &both).status, 422);
    let zero = json!({"query": "a", "documents": ["b"], "top_k": 0});
    let refused = server.post("/v1/rerank", &zero);
    assert_eq!(
        message("/v1/rerank", &refused),
        "`top_k` must be at least 1"
    );
}

/// Half of a surrogate pair is named, with what a client can do about it.
#[test]
fn a_lone_surrogate_is_explained() {
    let files = Files::new();
    let server = Running::start(files.options());
    for (path, body) in [
        ("/rerank", r#"{"query": "a", "texts": ["b", "c\ud83c d"]}"#),
        ("/rerank", r#"{"query": "\udf5e", "texts": ["b"]}"#),
        ("/v1/rerank", r#"{"query": "a", "documents": ["c\ud83c"]}"#),
        (
            "/v2/rerank",
            r#"{"query": "a", "documents": [{"text": "c\ud83c\u0020"}]}"#,
        ),
        ("/v1/embeddings", r#"{"model": "e", "input": "\ud83c"}"#),
    ] {
        let headers = [("content-type", "application/json")];
        let answer = exchange(
            server.connect(),
            &request("POST", path, &headers, body.as_bytes()),
        );
        assert_eq!(answer.status, 400, "{path} {body}");
        let said = message(path, &answer);
        assert!(said.contains("half of a surrogate pair"), "{said}");
        assert!(said.contains("U+FFFD"), "{said}");
    }
}
