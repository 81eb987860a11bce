//! Correct answers, for every trigger.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use lanerank::{Model, Ranker};
use lanerank_convert::convert::WeightDtype;
use serde_json::{Value, json};

use crate::emulator::{Function, Report};
use crate::events::{Answer, Request, Trigger, http_api, rest_api};
use lanerank_testing::models;

pub fn start(settings: &[(&str, &str)]) -> Function {
    Function::start(&mut Command::new(env!("CARGO_BIN_EXE_bootstrap")), settings)
}

const QUERY: &str = "how do I keep bread fresh";
const TEXTS: [&str; 4] = [
    "The lighthouse was built in 1847.",
    "A paper bag in a box keeps bread longest.",
    "",
    "Brød holder sig i en pose – 冷蔵庫 ではなく。\n\u{0}\"\\",
];

/// Index and score of each hit, best first.
fn hits(answer: &Value, score: &str) -> Vec<(usize, u32)> {
    let hit = |hit: &Value| {
        // JSON has the shortest text that parses to this number.
        let score = hit[score].to_string().parse::<f32>().unwrap();
        (hit["index"].as_u64().unwrap() as usize, score.to_bits())
    };
    answer.as_array().unwrap().iter().map(hit).collect()
}

fn expected(ranker: &Ranker, query: &str, texts: &[impl AsRef<str> + Sync]) -> Vec<(usize, u32)> {
    let hits = ranker.rerank(query, texts).unwrap();
    hits.iter()
        .map(|hit| (hit.index, hit.score.to_bits()))
        .collect()
}

#[test]
fn every_trigger_gets_the_librarys_bits() {
    let expected = expected(&Ranker::new().unwrap(), QUERY, &TEXTS);
    let tei = Request::post("/rerank", &json!({"query": QUERY, "texts": TEXTS}));
    let cohere = json!({"model": "default", "query": QUERY, "documents": TEXTS});
    let [v1, v2] = ["/v1/rerank", "/v2/rerank"].map(|path| Request::post(path, &cohere));
    let mut function = start(&[]);
    for trigger in Trigger::ALL {
        for base64 in [false, true] {
            let mut answer = |request| {
                let response = function.answer(&trigger.event(request, base64));
                Answer::of(trigger, &response)
            };
            let ranks = answer(&tei);
            assert_eq!(ranks.header("content-type"), Some("application/json"));
            assert_eq!(hits(&ranks.ok(), "score"), expected, "{trigger:?} {base64}");
            for (request, version) in [(&v1, "1"), (&v2, "2")] {
                let ranks = answer(request).ok();
                assert_eq!(hits(&ranks["results"], "relevance_score"), expected);
                assert_eq!(ranks["meta"]["api_version"]["version"], version);
            }
        }
    }
}

#[test]
fn a_stage_is_no_part_of_the_path() {
    let request = Request::post("/v1/rerank", &json!({"query": QUERY, "documents": TEXTS}));
    let mut function = start(&[]);
    // The route also starts with `v1`.
    for stage in ["prod", "v1", "$default"] {
        let event = http_api(stage, "rerank.example.com", &request, false);
        Answer::of(Trigger::HttpApi, &function.answer(&event)).ok();
        let event = rest_api(stage, &request, false);
        Answer::of(Trigger::RestApi, &function.answer(&event)).ok();
    }
}

#[test]
fn invocations_one_after_the_other() {
    let ranker = Ranker::new().unwrap();
    let mut function = start(&[]);
    for i in 0..60 {
        let query = format!("{QUERY} {i}");
        let texts: Vec<String> = (0..1 + i * 7 % 40)
            .map(|k| format!("{k} {}", TEXTS[(i + k) % 4].repeat(1 + k % 5)))
            .collect();
        let request = Request::post("/rerank", &json!({"query": query, "texts": texts}));
        let trigger = Trigger::ALL[i % 5];
        let response = function.answer(&trigger.event(&request, i % 2 == 0));
        let ranks = Answer::of(trigger, &response).ok();
        assert_eq!(hits(&ranks, "score"), expected(&ranker, &query, &texts));
    }
}

#[test]
fn a_model_from_a_layer() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small.lane");
    let file = models::file(&models::classifier(1), WeightDtype::Int8, 5);
    std::fs::write(&path, file).unwrap();
    let ranker = Ranker::builder().opened(Model::open(&path).unwrap());
    let expected = expected(&ranker.build().unwrap(), "bread", &TEXTS);

    let mut function = start(&[("LANERANK_MODEL", path.to_str().unwrap())]);
    let body = json!({"query": "bread", "documents": TEXTS});
    let response =
        function.answer(&Trigger::HttpApi.event(&Request::post("/v2/rerank", &body), false));
    let ranks = Answer::of(Trigger::HttpApi, &response).ok();
    assert_eq!(ranks["model"], "small");
    assert_eq!(hits(&ranks["results"], "relevance_score"), expected);
}

#[test]
fn what_a_load_balancer_asks_now_and_then() {
    let mut function = start(&[]);
    for path in ["/health", "/ready", "/v1/models", "/metrics"] {
        let event = Trigger::LoadBalancer.event(&Request::get(path), false);
        let response = function.answer(&event);
        assert_eq!(response["statusDescription"], "200 OK", "{path}");
    }
}

#[test]
fn answers_come_before_lambda_ends_the_function() {
    // 220,000 tokens: half a second of one fast core.
    let texts = vec![TEXTS[1].repeat(20); 1000];
    let body = json!({"query": QUERY, "texts": texts});
    let mut function = start(&[("LANERANK_THREADS", "1"), ("LANERANK_DEADLINE", "0")]);
    let mut answer = |request: &Request, ms| {
        let event = Trigger::FunctionUrl.event(request, false);
        match function.invoke_within(&event, Duration::from_millis(ms)) {
            Report::Response { body, .. } => Answer::of(Trigger::FunctionUrl, &body),
            other => panic!("{other:?}"),
        }
    };
    let request = Request::post("/rerank", &body);
    // Starts the process before the time is measured.
    assert_eq!(
        hits(&answer(&request, 60_000).ok(), "score").len(),
        texts.len()
    );
    let late = answer(&request, 200);
    assert_eq!(
        (late.status, late.json()["error_type"].as_str()),
        (504, Some("Timeout"))
    );
    // A longer deadline has no effect.
    assert_eq!(
        answer(&request.clone().with("X-Deadline-Ms", "60000"), 200).status,
        504
    );
    // A shorter deadline has, and so has `X-On-Deadline`.
    let partial = request
        .clone()
        .with("X-Deadline-Ms", "100")
        .with("X-On-Deadline", "partial");
    let some = answer(&partial, 60_000);
    let unscored: usize = some.header("x-unscored").unwrap().parse().unwrap();
    assert_eq!(some.ok().as_array().unwrap().len() + unscored, texts.len());
    assert_eq!(
        answer(&request.clone().with("X-Deadline-Ms", "soon"), 60_000).status,
        422
    );
    assert_eq!(
        hits(&answer(&request, 60_000).ok(), "score").len(),
        texts.len()
    );
}

/// A request as cargo-lambda's emulator sends it.
#[test]
fn a_deadline_that_was_never_one() {
    let request = Request::post("/rerank", &json!({"query": QUERY, "texts": TEXTS}));
    let event = Trigger::HttpApi.event(&request, false);
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(600);
    match start(&[]).invoke_until(&event, past) {
        Report::Response { body, .. } => assert_eq!(body["statusCode"], 200),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_settings_deadline_holds() {
    let texts = vec![TEXTS[1].repeat(20); 500];
    let request = Request::post("/rerank", &json!({"query": QUERY, "texts": texts}));
    let mut function = start(&[("LANERANK_THREADS", "1"), ("LANERANK_DEADLINE", "20")]);
    let response = function.answer(&Trigger::HttpApi.event(&request, false));
    assert_eq!(response["statusCode"], 504);
}
