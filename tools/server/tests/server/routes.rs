//! Every route; its scores are the library's.

use lanerank::{Encoder, Ranker, RerankOptions, TruncationSide};
use serde_json::{Value, json};

use crate::support::{Files, Running, exchange, request};
use lanerank_testing::models::passages;

const QUERY: &str = "how do i keep the bread fresh ?";

fn library(files: &Files) -> Ranker {
    Ranker::builder()
        .model(files.path("c.lane"))
        .build()
        .unwrap()
}

/// JSON numbers have the shortest digits that parse to the same bits.
fn bits(value: &Value) -> u32 {
    value.to_string().parse::<f32>().unwrap().to_bits()
}

#[test]
fn scores_are_the_librarys_bit_for_bit() {
    let files = Files::new();
    let server = Running::start(files.options());
    let ranker = library(&files);
    for (count, seed) in [(1, 1), (2, 2), (5, 3), (100, 4), (700, 5)] {
        let texts = passages(count, seed);
        let hits = ranker.rerank(QUERY, &texts).unwrap();
        let body = json!({"query": QUERY, "texts": texts, "raw_scores": true});
        let raw = server.post("/rerank", &body).ok();
        let body = json!({"query": QUERY, "texts": texts, "return_text": true});
        let tei = server.post("/rerank", &body).ok();
        let body = json!({"query": QUERY, "documents": texts, "model": "c"});
        let cohere = server.post("/v2/rerank", &body).ok();
        assert_eq!(tei.as_array().unwrap().len(), count);
        for (i, hit) in hits.iter().enumerate() {
            let result = &cohere["results"][i];
            for ranked in [&raw[i], &tei[i], result] {
                assert_eq!(ranked["index"], hit.index);
            }
            assert_eq!(bits(&raw[i]["score"]), hit.logit.to_bits());
            assert_eq!(bits(&tei[i]["score"]), hit.score.to_bits());
            assert_eq!(bits(&result["relevance_score"]), hit.score.to_bits());
            assert_eq!(tei[i]["text"], texts[hit.index]);
        }
    }
}

#[test]
fn many_requests_at_once_give_the_same_bits() {
    let files = Files::new();
    let server = Running::start(files.options());
    let ranker = library(&files);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (server, ranker) = (&server, &ranker);
            scope.spawn(move || {
                for round in 0..15 {
                    let texts =
                        passages(1 + (client * 7 + round) % 40, (client * 100 + round) as u64);
                    let hits = ranker.rerank(QUERY, &texts).unwrap();
                    let body = json!({"query": QUERY, "texts": texts});
                    let got = server.post("/rerank", &body).ok();
                    let got: Vec<u32> = got
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|r| bits(&r["score"]))
                        .collect();
                    let want: Vec<u32> = hits.iter().map(|hit| hit.score.to_bits()).collect();
                    assert_eq!(got, want);
                }
            });
        }
    });
    assert_eq!(server.metric("lanerank_requests_in_flight"), 0.0);
    assert_eq!(server.metric("lanerank_queue_depth"), 0.0);
}

#[test]
fn truncation_is_the_one_asked_for() {
    let files = Files::new();
    let server = Running::start(files.options());
    let ranker = library(&files);
    let text = ["the", "lamp", "is", "fresh", "water"].repeat(12).join(" ");
    let texts = [text.as_str(), "bread"];
    let library = |side, most| {
        let options = RerankOptions {
            truncation_side: side,
            max_passage_tokens: most,
            ..RerankOptions::default()
        };
        ranker.rerank_with(QUERY, &texts, &options).unwrap().hits
    };
    for (direction, side) in [
        ("Right", TruncationSide::Right),
        ("left", TruncationSide::Left),
    ] {
        let body = json!({"query": QUERY, "texts": texts, "truncation_direction": direction,
            "return_cut": true});
        let got = server.post("/rerank", &body).ok();
        for (i, hit) in library(side, None).iter().enumerate() {
            assert_eq!(bits(&got[i]["score"]), hit.score.to_bits());
            let cut = &got[i]["cut"];
            assert_eq!(cut["passage_tokens"], hit.truncation.passage_tokens);
            let tokens = cut["tokens"].as_array().unwrap();
            assert_eq!(tokens.len(), hit.truncation.passage_tokens);
            if hit.index == 0 {
                let (first, last) = (&tokens[0], &tokens[tokens.len() - 1]);
                match side {
                    TruncationSide::Left => assert_eq!(first, "the"),
                    TruncationSide::Right => assert_eq!(last, "water"),
                }
            }
        }
    }
    let body = json!({"query": QUERY, "documents": texts, "max_tokens_per_doc": 4});
    let got = server.post("/v2/rerank", &body).ok();
    for (i, hit) in library(TruncationSide::Right, Some(4)).iter().enumerate() {
        assert_eq!(
            bits(&got["results"][i]["relevance_score"]),
            hit.score.to_bits()
        );
    }
    let refused = json!({"query": QUERY, "texts": texts, "truncate": false});
    let answer = server.post("/rerank", &refused);
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error_type"], "Validation");
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .starts_with("text 0 has 71 tokens")
    );
    assert!(server.metric("lanerank_truncated_total{model=\"c\"}") >= 3.0);
}

#[test]
fn explanations_are_the_librarys() {
    let files = Files::new();
    let server = Running::start(files.options());
    let ranker = library(&files);
    let long = ["the", "lamp,", "is", "fresh", "w\u{e4}ter"]
        .repeat(12)
        .join(" ");
    let texts = [long.as_str(), "bread in a box", ""];
    let body = json!({"query": QUERY, "texts": texts, "explain": true});
    let got = server.post("/rerank", &body).ok();
    assert_eq!(got.as_array().unwrap().len(), 3);
    for rank in got.as_array().unwrap() {
        let text = texts[rank["index"].as_u64().unwrap() as usize];
        let options = RerankOptions::default();
        let explanation = ranker.explain(QUERY, text, &options).unwrap();
        assert_eq!(bits(&rank["score"]), explanation.score.to_bits());
        let pieces = rank["explanation"].as_array().unwrap();
        assert_eq!(pieces.len(), explanation.spans.len());
        for (piece, span) in pieces.iter().zip(&explanation.spans) {
            assert_eq!(piece["text"], text[span.range.clone()]);
            let effect = (!piece["effect"].is_null()).then(|| bits(&piece["effect"]));
            assert_eq!(effect, span.effect.map(f32::to_bits));
        }
    }
    let plain = json!({"query": QUERY, "texts": texts});
    assert!(server.post("/rerank", &plain).ok()[0]["explanation"].is_null());
    let encoder = json!({"query": QUERY, "texts": texts, "explain": true, "model": "e"});
    let refused = server.post("/rerank", &encoder);
    assert_eq!(refused.status, 422);
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("sentence encoder")
    );
}

#[test]
fn documents_may_be_objects() {
    let files = Files::new();
    let server = Running::start(files.options());
    let ranker = library(&files);
    let documents = json!([
        "the lamp is lit",
        {"text": "bread in a paper box", "id": 7},
        {"text": "stone", "title": "water"},
    ]);
    let score = |text: &str| ranker.scores(QUERY, &[text]).unwrap()[0].to_bits();
    let body =
        json!({"query": QUERY, "documents": documents, "return_documents": true, "top_n": 9});
    for path in ["/v1/rerank", "/v2/rerank"] {
        let answer = server.post(path, &body).ok();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        for result in results {
            let index = result["index"].as_u64().unwrap() as usize;
            let (text, echo) = match &documents[index] {
                Value::String(text) => (text.as_str(), json!({"text": text})),
                object => (object["text"].as_str().unwrap(), object.clone()),
            };
            assert_eq!(bits(&result["relevance_score"]), score(text));
            assert_eq!(result["document"], echo);
        }
        assert_eq!(answer["model"], "c");
        assert!(answer["usage"]["total_tokens"].as_u64().unwrap() > 30);
        assert_eq!(answer["meta"]["api_version"]["version"], &path[2..3]);
    }
    let fields = json!({"query": QUERY, "documents": [{"title": "water", "text": "stone", "n": 5}],
        "rank_fields": ["title", "n", "absent"]});
    let answer = server.post("/v1/rerank", &fields).ok();
    assert_eq!(
        bits(&answer["results"][0]["relevance_score"]),
        score("title: water\nn: 5")
    );
    let top = json!({"query": QUERY, "documents": ["a", "b", "c"], "top_n": 1});
    let answer = server.post("/v1/rerank", &top).ok();
    assert_eq!(answer["results"].as_array().unwrap().len(), 1);
    assert!(answer["results"][0].get("document").is_none());
}

#[test]
fn embeddings_are_the_librarys() {
    let files = Files::new();
    let server = Running::start(files.options());
    let encoder = Encoder::builder()
        .model(files.path("e.lane"))
        .build()
        .unwrap();
    let texts = passages(70, 9);
    let vectors = encoder.encode(&texts).unwrap();
    let body = json!({"input": texts, "model": "e"});
    let answer = server.post("/v1/embeddings", &body).ok();
    for (i, vector) in vectors.iter().enumerate() {
        let data = &answer["data"][i];
        assert_eq!(data["index"], i);
        let got: Vec<u32> = data["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .map(bits)
            .collect();
        assert_eq!(got, vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
    }
    let body =
        json!({"input": texts[0], "model": "e", "encoding_format": "base64", "dimensions": 48});
    let answer = server.post("/v1/embeddings", &body).ok();
    let text = answer["data"][0]["embedding"].as_str().unwrap().to_owned();
    assert_eq!(text.len(), (48 * 4usize).div_ceil(3) * 4);
    // Decodes the first three bytes.
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let word = text
        .bytes()
        .take(4)
        .fold(0, |w, c| w << 6 | u32::from(digit(c)));
    assert_eq!(word.to_be_bytes()[1..], vectors[0][0].to_le_bytes()[..3]);
    // An encoder ranks by the cosine similarity of its vectors.
    let ranker = Ranker::builder()
        .model(files.path("e.lane"))
        .build()
        .unwrap();
    let body = json!({"query": QUERY, "texts": texts, "model": "e"});
    let got = server.post("/rerank", &body).ok();
    for (i, hit) in ranker.rerank(QUERY, &texts).unwrap().iter().enumerate() {
        assert_eq!(bits(&got[i]["score"]), hit.score.to_bits());
    }
}

/// dify asks these before it adds a model.
#[test]
fn a_server_tells_what_text_embeddings_inference_tells() {
    let files = Files::new();
    let server = Running::start(files.options());
    let info = server.get("/info").ok();
    assert_eq!(info["model_id"], "c");
    assert_eq!(info["max_input_length"], library(&files).max_length());
    assert_eq!(info["max_client_batch_size"], 1000);
    let types = info["model_type"].as_object().unwrap();
    assert_eq!(types.keys().collect::<Vec<_>>(), ["reranker"]);
    let body = json!({"inputs": ["the bread", ""]});
    let tokens = server.post("/tokenize", &body).ok();
    let texts = |tokens: &Value| -> Vec<String> {
        let list = tokens.as_array().unwrap().iter();
        list.map(|t| t["text"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(texts(&tokens[0]), ["[CLS]", "the", "bread", "[SEP]"]);
    assert_eq!(texts(&tokens[1]), ["[CLS]", "[SEP]"]);
    assert_eq!(tokens[0][0]["special"], true);
    assert_eq!(tokens[0][1]["special"], false);
    assert!(tokens[0][1]["id"].is_u64());
    let body = json!({"inputs": "the bread", "add_special_tokens": false});
    let tokens = server.post("/tokenize", &body).ok();
    assert_eq!(texts(&tokens[0]), ["the", "bread"]);
    assert_eq!(server.post("/tokenize", &json!({"inputs": []})).status, 400);
    assert_eq!(
        server.post("/tokenize", &json!({"inputs": [1]})).status,
        422
    );
}

#[test]
fn a_server_tells_of_itself() {
    let files = Files::new();
    let server = Running::start(files.options());
    assert_eq!(server.get("/health").ok()["status"], "ok");
    assert_eq!(server.get("/ready").ok()["models"], json!(["c", "e"]));
    assert_eq!(server.get("/v1/models").ok()["data"][1]["id"], "e");
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    server
        .post("/rerank", &json!({"query": "a", "texts": ["b", "c"]}))
        .ok();
    let requests = "lanerank_requests_total{route=\"/rerank\",status=\"200\"}";
    assert_eq!(server.metric(requests), 1.0);
    assert_eq!(server.metric("lanerank_documents_total{model=\"c\"}"), 2.0);
    // [CLS] a [SEP] b [SEP], twice.
    assert_eq!(server.metric("lanerank_tokens_total{model=\"c\"}"), 10.0);
    assert_eq!(
        server.metric("lanerank_request_seconds_count{route=\"/rerank\"}"),
        1.0
    );
    assert_eq!(server.metric("lanerank_queue_seconds_count"), 1.0);
    let answer = server.get("/health");
    assert!(answer.header("x-request-id").unwrap().len() > 16);
    let body = json!({"query": "a", "documents": ["b"]});
    let answer = server.post_with("/v2/rerank", &[("x-request-id", "mine-7")], &body);
    assert_eq!(answer.header("x-request-id"), Some("mine-7"));
    assert_eq!(answer.ok()["id"], "mine-7");
    // An id that does not fit a log line is replaced.
    let answer = server.post_with("/v2/rerank", &[("x-request-id", "a b")], &body);
    assert_ne!(answer.header("x-request-id"), Some("a b"));
}

/// The OpenAPI document and the README list exactly the routes of the running server.
#[test]
fn openapi_knows_every_route() {
    let files = Files::new();
    let server = Running::start(files.options());
    let page = server.get("/openapi.json").ok();
    assert_eq!(page["openapi"], "3.1.0");
    assert_eq!(page["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut paths: Vec<&String> = page["paths"].as_object().unwrap().keys().collect();
    paths.sort();
    let known = [
        "/",
        "/health",
        "/info",
        "/metrics",
        "/openapi.json",
        "/ready",
        "/rerank",
        "/reranking",
        "/tokenize",
        "/v1/embeddings",
        "/v1/models",
        "/v1/rerank",
        "/v1/reranking",
        "/v2/rerank",
    ];
    assert_eq!(paths, known);
    // A route that answers in TEI's or Cohere's shape also refuses in either.
    let refused = server.post("/rerank", &json!({"query": "q", "documents": 7}));
    let body = refused.json();
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!((refused.status, keys.len()), (422, 2));
    assert!(body["message"] == body["detail"] && body["detail"].is_string());
    for path in ["/rerank", "/reranking"] {
        let refusals = &page["paths"][path]["post"]["responses"]["422"];
        let schema = &refusals["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/TeiOrCohereError");
    }
    for (path, methods) in page["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let answer = match method.as_str() {
                "get" => server.get(path),
                _ => server.post(path, &json!({})),
            };
            let status = answer.status.to_string();
            assert!(
                [200, 422].contains(&answer.status),
                "{method} {path}: {status}"
            );
            let responses = &methods[method]["responses"];
            assert!(
                responses.get(&status).is_some(),
                "{method} {path}: {status}"
            );
        }
    }
    for (path, methods) in page["paths"].as_object().unwrap() {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let documented = methods.get(method.to_lowercase()).is_some();
            let answer = exchange(server.connect(), &request(method, path, &[], b""));
            assert_eq!(answer.status == 405, !documented, "{method} {path}");
        }
    }
    let readme = include_str!("../../README.md");
    for path in &paths {
        assert!(readme.contains(&format!(" {path}`")), "{path} in README.md");
    }
}
