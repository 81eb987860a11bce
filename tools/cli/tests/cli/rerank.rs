use serde_json::json;

use super::support::*;

const JSONL: &str = "{\"id\": 12345678901234567890123, \"text\": \"the lamp\", \
                     \"meta\": {\"z\":1.0,\"a\":[null]}, \"score\": 2}\n\
    {\"id\":[\"x\"],\"text\":\"bread is fresh\",\"score\":1.5}\n{\"text\":\"\",\"score\":0}\n";

fn rerank(model: &str, args: &[&str], input: &str) -> Outcome {
    lanerank_with(&[&["rerank", "--model", model], args].concat(), input)
}

#[test]
fn json_carries_ids_and_meta_through() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let outcome = rerank(&model, &["-q", "fresh bread", "--json"], JSONL);
    assert!(outcome.ok().contains("\"id\": 12345678901234567890123,"));
    assert!(outcome.ok().contains("\"meta\": {\"z\":1.0,\"a\":[null]}"));
    let hits = outcome.json();
    let hits = hits.as_array().unwrap();
    assert_eq!(hits.len(), 3);
    let logits: Vec<f64> = hits.iter().map(|h| h["logit"].as_f64().unwrap()).collect();
    assert!(logits.is_sorted_by(|a, b| a >= b), "{logits:?}");
    let mut keys: Vec<&String> = hits[0].as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        ["id", "index", "logit", "meta", "score", "text", "truncated"]
    );
    for hit in hits {
        let (score, logit) = (
            hit["score"].as_f64().unwrap(),
            hit["logit"].as_f64().unwrap(),
        );
        assert!((score - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
        let text = ["the lamp", "bread is fresh", ""][hit["index"].as_u64().unwrap() as usize];
        assert_eq!(hit["text"], text);
    }
}

#[test]
fn the_three_forms_of_input_agree() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let scores = |args: &[&str], input: &str| {
        let hits = rerank(&model, &[args, &["--json"]].concat(), input).json();
        let hit = |h: &serde_json::Value| (h["index"].as_u64(), h["score"].as_f64());
        hits.as_array().unwrap().iter().map(hit).collect::<Vec<_>>()
    };
    let lines = scores(&["-q", "bread"], "the lamp\n\nfresh bread\r\n");
    let jsonl = scores(
        &["-q", "bread"],
        "{\"text\":\"the lamp\"}\n{\"text\":\"fresh bread\"}",
    );
    let request = "{\"query\":\"bread\",\n\
                   \"passages\":[{\"id\":1,\"text\":\"the lamp\"},{\"text\":\"fresh bread\"}]}";
    assert_eq!(lines.len(), 2);
    assert_eq!(lines, jsonl);
    assert_eq!(lines, scores(&[], request));
    let file = tiny.write("request.json", request);
    assert_eq!(lines, scores(&[&file], ""));
    assert_eq!(lines[..1], scores(&["--top", "1", "-"], request));
    assert_eq!(scores(&["-q", "x"], ""), []);
}

#[test]
fn what_is_empty_is_noted() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let none = rerank(&model, &["-q", "bread", "--json"], "\n");
    assert_eq!(none.json(), json!([]));
    assert_eq!(
        none.stderr,
        "lanerank: standard input: no passages, so there is nothing to rank\n"
    );
    let empty = rerank(&model, &["-q", " "], "bread\n");
    assert!(empty.ok().contains("bread"));
    assert!(
        empty.stderr.starts_with("lanerank: the query is empty"),
        "{}",
        empty.stderr
    );
    assert_eq!(empty.stderr.lines().count(), 1);
}

#[test]
fn a_missing_score_is_counted_from_one() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let input = "{\"text\":\"a\",\"score\":1}\n{\"text\":\"b\"}\n";
    let outcome = rerank(&model, &["-q", "bread", "--fuse", "rrf"], input);
    outcome.refused("passage 2 of 2 has no `score`");
    rerank(&model, &["-q", "bread", "--fuse", "rrf"], "a\nb").refused("passage 1 of 2 has no");
}

#[test]
fn text_for_people() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let outcome = rerank(
        &model,
        &["-q", "bread"],
        "{\"id\":\"a\",\"text\":\"one\\ttwo\\u001b[31m\"}",
    );
    let lines: Vec<&str> = outcome.ok().lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["rank", "score", "id", "text"]
    );
    assert!(lines[1].ends_with("a   one two [31m"), "{}", lines[1]);
    assert!(!outcome.stdout.contains(['\t', '\u{1b}']));
}

#[test]
fn truncation_is_said() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let long = "bread ".repeat(100);
    let outcome = rerank(&model, &["-q", "fresh"], &long);
    assert!(
        outcome
            .stderr
            .contains("truncated 1 of the passages shown to 40 tokens")
    );
    let hits = rerank(
        &model,
        &["-q", "fresh", "--json", "--explain-truncation"],
        &long,
    )
    .json();
    // 40 positions minus three special tokens and one token of the query.
    assert_eq!(hits[0]["truncated"], true);
    assert_eq!(
        hits[0]["truncation"],
        json!({"query_tokens": 0, "passage_tokens": 64})
    );
    let outcome = rerank(&model, &["-q", "fresh", "--explain-truncation"], &long);
    assert!(outcome.ok().contains("0+64 tokens"));
    rerank(&model, &["-q", "x", "--max-length", "41"], "a").refused("max_length: 41");
}

#[test]
fn fusion() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let hits = rerank(
        &model,
        &["-q", "bread", "--json", "--fuse", "minmax", "--weight", "0"],
        JSONL,
    );
    let order: Vec<_> = hits
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h["index"].clone())
        .collect();
    assert_eq!(order, [0, 1, 2]);
    assert_eq!(hits.json()[0]["fused"], 1.0);
    assert!(
        rerank(&model, &["-q", "x", "--fuse", "rrf"], JSONL)
            .ok()
            .contains("blend")
    );
    rerank(&model, &["-q", "x", "--fuse", "zscore"], "a\nb")
        .refused("passage 1 of 2 has no `score`");
    rerank(
        &model,
        &["-q", "x", "--fuse", "zscore", "--weight", "2"],
        JSONL,
    )
    .refused("--weight 2");
    rerank(
        &model,
        &["-q", "x", "--fuse", "rrf", "--weight", "1"],
        JSONL,
    )
    .refused("rrf");
}

#[test]
fn a_deadline_leaves_the_rest_last_and_says_so() {
    let tiny = Tiny::new();
    let outcome = rerank(
        &tiny.model(),
        &["-q", "bread", "--json", "--deadline", "0"],
        "a\nb\n",
    );
    let hits = outcome.json();
    assert_eq!(hits.as_array().unwrap().len(), 2);
    assert_eq!(hits[0]["score"], serde_json::Value::Null);
    assert!(
        outcome.stderr.contains("2 of 2 passages not scored"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn json_output_is_input() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let first = rerank(
        &model,
        &["-q", "bread", "--json"],
        "the lamp\nfresh bread\n",
    );
    let again = rerank(&model, &["-q", "bread", "--json"], first.ok());
    let texts = |hits: &serde_json::Value| -> Vec<(String, f64)> {
        let hits = hits.as_array().unwrap().iter();
        hits.map(|hit| {
            (
                hit["text"].as_str().unwrap().into(),
                hit["logit"].as_f64().unwrap(),
            )
        })
        .collect()
    };
    assert_eq!(texts(&first.json()), texts(&again.json()));
    assert_eq!(again.json().as_array().unwrap().len(), 2);
}

#[test]
fn bad_input_is_named_by_line() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let bad = tiny.write("bad.jsonl", "{\"text\":\"a\"}\n{\"text\":1}\n");
    rerank(&model, &["-q", "x", &bad], "").refused("bad.jsonl:2: `text` is not a string");
    rerank(&model, &["-q", "x"], "{oops").refused("standard input:1: ");
    rerank(&model, &[], "plain text").refused("no query");
    rerank(&model, &["-q", "x", "/no/such/file"], "").refused("/no/such/file");
    let binary = tiny.write("binary", b"a\n\xff\n");
    rerank(&model, &["-q", "x", &binary], "").refused("binary:2: not UTF-8");
}

#[test]
fn threads_do_not_change_a_score() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let input = "bread\nlamp\nthe fresh bread is\n";
    let one = rerank(&model, &["-q", "bread", "--json", "--threads", "1"], input);
    let two = rerank(&model, &["-q", "bread", "--json", "--threads", "2"], input);
    assert_eq!(one.ok(), two.ok());
}

#[test]
fn explanations_name_the_words() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let input = "the lamp is lit\nfresh bread, water\n";
    let outcome = rerank(&model, &["-q", "bread", "--explain"], input);
    let lines: Vec<&str> = outcome.ok().lines().collect();
    // Headings, two passages, an empty line, and one line per passage.
    assert_eq!(lines.len(), 7, "{lines:?}");
    for (line, words) in [(lines[4], 4), (lines[6], 4)] {
        let named = line.split("  ").filter(|word| word.contains(['+', '-']));
        assert_eq!(named.count(), words, "{line}");
    }
    let top = ["-q", "bread", "--explain", "--json", "--top", "1"];
    let hits = rerank(&model, &top, input).json();
    assert_eq!(hits.as_array().unwrap().len(), 1);
    let pieces = hits[0]["explanation"].as_array().unwrap().iter();
    let text: String = pieces
        .map(|piece| piece["text"].as_str().unwrap())
        .collect();
    assert_eq!(hits[0]["text"], text);
}

#[test]
fn estimates_count_what_the_model_reads() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let input = "the lamp is lit\nfresh bread\n".repeat(30);
    let args = ["-q", "bread", "--estimate", "--json", "--threads", "1"];
    let estimate = rerank(&model, &args, &input).json();
    assert_eq!(
        (&estimate["passages"], &estimate["threads"]),
        (&json!(60), &json!(1))
    );
    let pairs = "[\"bread\",\"the lamp is lit\"]\n[\"bread\",\"fresh bread\"]\n";
    let read = lanerank_with(&["tokenize", "--model", &model], pairs);
    let tokens = read.ok().lines().map(|line| {
        let tokens: serde_json::Value = serde_json::from_str(line).unwrap();
        tokens["ids"].as_array().unwrap().len()
    });
    assert_eq!(estimate["tokens"], 30 * tokens.sum::<usize>());
    assert!(estimate["milliseconds"].as_f64().unwrap() > 0.0);
    assert!(estimate["multiply_adds"].as_u64().unwrap() > 0);
    let shown = rerank(&model, &["-q", "bread", "--estimate"], &input);
    assert!(
        shown
            .ok()
            .starts_with("passages       60, 0 of them too long\n")
    );
    let none = rerank(&model, &["-q", "bread", "--estimate"], "");
    assert!(none.ok().starts_with("passages       0,"));
    rerank(&model, &["-q", "bread", "--estimate", "--explain"], &input).refused("--estimate");
}

#[test]
fn jsonl_output_is_input_of_a_pipe() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let args = ["-q", "fresh bread", "--jsonl"];
    let first = rerank(&model, &args, JSONL);
    let lines: Vec<&str> = first.ok().lines().collect();
    assert_eq!(lines.len(), 3);
    let parse = |line: &&str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let values = lines.iter().map(parse);
    let json = rerank(&model, &["-q", "fresh bread", "--json"], JSONL).json();
    assert_eq!(json, values.collect::<serde_json::Value>());
    assert!(first.ok().contains("\"id\":12345678901234567890123,"));
    // The first run's scores are the first stage of the second.
    let fused = [
        "-q",
        "fresh bread",
        "--jsonl",
        "--fuse",
        "minmax",
        "--weight",
        "0",
    ];
    let again = rerank(&model, &fused, first.ok());
    let texts = |lines: &str| -> Vec<serde_json::Value> {
        let values = lines.lines().map(serde_json::from_str::<serde_json::Value>);
        values.map(|value| value.unwrap()["text"].clone()).collect()
    };
    assert_eq!(texts(first.ok()), texts(again.ok()));
    // An unscored passage has no score to read, and a single line is no request object.
    let unscored = rerank(
        &model,
        &["-q", "bread", "--jsonl", "--deadline", "0"],
        "a\n",
    );
    assert!(unscored.ok().contains("\"score\":null"));
    rerank(&model, &["-q", "bread"], unscored.ok()).ok();
    assert_eq!(rerank(&model, &args, "").ok(), "");
    rerank(&model, &["-q", "x", "--jsonl", "--json"], "a").refused("--json");
    rerank(&model, &["-q", "x", "--jsonl", "--estimate"], "a").refused("--estimate");
}

#[test]
fn files_are_ranked_together() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let lines = tiny.write("a.txt", "the lamp\nfresh bread\n");
    let jsonl = tiny.write("b.jsonl", "{\"id\":7,\"text\":\"bread\",\"score\":1}\n");
    let files = ["-q", "bread", "--json", &lines, &jsonl, "-"];
    let hits = rerank(&model, &files, "is\n").json();
    let all = rerank(&model, &files[..3], "the lamp\nfresh bread\nbread\nis\n").json();
    let (hits, all) = (hits.as_array().unwrap(), all.as_array().unwrap());
    assert_eq!(hits.len(), 4);
    for (hit, same) in hits.iter().zip(all) {
        for field in ["index", "text", "score", "logit"] {
            assert_eq!(hit[field], same[field]);
        }
        let file = ["a.txt", "a.txt", "b.jsonl", "standard input"];
        let named = hit["file"].as_str().unwrap();
        assert!(
            named.ends_with(file[hit["index"].as_u64().unwrap() as usize]),
            "{named}"
        );
        assert!(same.get("file").is_none());
    }
    let table = rerank(&model, &["-q", "bread", &lines, &jsonl], "");
    assert!(table.ok().lines().next().unwrap().contains("file"));
    assert!(table.ok().contains("b.jsonl"));
    // Errors name the file.
    let fused = ["-q", "bread", "--fuse", "rrf", &jsonl, &lines];
    rerank(&model, &fused, "").refused("a.txt: passage 1 of 2 has no `score`");
    let bad = tiny.write("bad.jsonl", "{\"text\":1}\n");
    rerank(&model, &["-q", "x", &lines, &bad], "").refused("bad.jsonl:1: ");
    // One query at most.
    let request = |name: &str, query: &str| {
        tiny.write(
            name,
            format!("{{\"query\":\"{query}\",\"passages\":[\"bread\"]}}"),
        )
    };
    let (one, other) = (request("one.json", "bread"), request("other.json", "lamp"));
    rerank(&model, &[&one, &other], "").refused("its query differs from that of");
    rerank(&model, &[&lines, &one], "").ok();
    rerank(&model, &["-q", "x", &one, &other], "").ok();
}
