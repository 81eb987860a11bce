use std::fs;

use super::support::*;

#[test]
fn inspect_shows_config_sections_and_tokenizer() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let facts = lanerank(&["inspect", &model, "--json", "--check"]).json();
    assert_eq!(facts["config"]["hidden_size"], 32);
    assert_eq!(facts["config"]["head"], "classifier");
    assert_eq!(facts["config"]["layer_norm_eps"], 1e-12);
    assert_eq!(facts["tokenizer"]["pieces"], pieces().len());
    assert_eq!(facts["check"]["self_test"].as_array().unwrap().len(), 3);
    assert_eq!(facts["file_bytes"], fs::metadata(&model).unwrap().len());
    let sections = facts["sections"].as_array().unwrap();
    assert!(
        sections
            .iter()
            .any(|s| s["name"] == "layers.1.ffn.output.weight")
    );
    let outcome = lanerank(&["inspect", &model, "--check"]);
    assert!(outcome.ok().contains("check: all checksums match"));
    assert!(
        lanerank(&["inspect", &model])
            .ok()
            .contains("config.num_hidden_layers")
    );
}

#[test]
fn a_damaged_weight_fails_the_check() {
    let tiny = Tiny::new();
    let model = tiny.model();
    let facts = lanerank(&["inspect", &model, "--json"]).json();
    let sections = facts["sections"].as_array().unwrap();
    let weights = sections
        .iter()
        .find(|s| s["name"] == "layers.0.ffn.output.weight");
    let offset = weights.unwrap()["offset"].as_u64().unwrap() as usize;
    let mut bytes = fs::read(&model).unwrap();
    bytes[offset] ^= 1;
    let damaged = tiny.write("damaged.lane", bytes);
    let outcome = lanerank(&["inspect", &damaged, "--check"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome
            .stderr
            .contains("layers.0.ffn.output.weight: checksum"),
        "{}",
        outcome.stderr
    );
    let rerank = ["rerank", "-m", &damaged, "-q", "x", "--json"];
    lanerank_with(&rerank, "a").refused("checksum");
    let trusting = [&rerank[..], &["--no-checksums"]].concat();
    let ranked = lanerank_with(&trusting, "a").json();
    assert!(ranked[0]["score"].is_number());
}
