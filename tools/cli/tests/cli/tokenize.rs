use super::support::*;

#[test]
fn model_vocabulary_and_tokenizer_file_agree() {
    let tiny = Tiny::new();
    let (model, vocab, json) = (
        tiny.model(),
        text(&tiny.path("vocab.txt")),
        text(&tiny.path("tokenizer.json")),
    );
    let input = "\"The bread\"\n\n[\"Bread.\", \"caf\\u00e9 [SEP]\"]\n\"\"\n";
    let expected = "{\"ids\":[2,60,57,3],\"type_ids\":[0,0,0,0]}\n\
        {\"ids\":[2,57,62,3,9,6,16,14,3,3],\"type_ids\":[0,0,0,0,1,1,1,1,1,1]}\n\
        {\"ids\":[2,3],\"type_ids\":[0,0]}\n";
    for source in [
        ["--model", &model],
        ["--vocab", &vocab],
        ["--tokenizer", &json],
    ] {
        let outcome = lanerank_with(&[&["tokenize"], &source[..]].concat(), input);
        assert_eq!(outcome.ok(), expected, "{source:?}");
    }
}

#[test]
fn plain_lines_are_texts() {
    let tiny = Tiny::new();
    let vocab = text(&tiny.path("vocab.txt"));
    let run = |input: &str, format: &str| {
        let args = ["tokenize", "--vocab", &vocab, "--format", format];
        lanerank_with(&args, input)
    };
    let json = run("\"the bread\"\n\"[bread]\"\n", "auto");
    let plain = run("the bread\n\n[bread]\n", "auto");
    assert_eq!(plain.ok(), json.ok());
    let quoted = run("\"bread\"\n", "lines");
    assert_ne!(quoted.ok(), run("\"bread\"\n", "jsonl").ok());
    run("bread\n", "jsonl").refused("standard input:1: ");
    let none = run("\n", "auto");
    assert_eq!(
        (none.ok(), none.stderr.as_str()),
        ("", "lanerank: standard input: no texts\n")
    );
}

#[test]
fn options() {
    let tiny = Tiny::new();
    let vocab = text(&tiny.path("vocab.txt"));
    let run = |more: &[&str], input: &str| {
        let args = ["tokenize", "--vocab", &vocab];
        lanerank_with(&[&args, more].concat(), input)
            .ok()
            .to_owned()
    };
    let cut = run(&["--max-length", "4"], "\"bread bread bread\"\n");
    assert_eq!(cut, "{\"ids\":[2,57,57,3],\"type_ids\":[0,0,0,0]}\n");
    let cased = run(&["--cased"], "\"Bread\"");
    assert_eq!(cased, "{\"ids\":[2,1,3],\"type_ids\":[0,0,0]}\n");
    let plain = run(&["--special-tokens-as-text"], "\"[SEP]\"");
    assert!(!plain.contains("[2,3,3]"), "{plain}");
}

#[test]
fn bad_input_is_named_by_line() {
    let tiny = Tiny::new();
    let vocab = text(&tiny.path("vocab.txt"));
    for (line, words) in [
        ("7", "standard input:2: "),
        ("[\"a\"]", "standard input:2: "),
        ("[\"a\",\"b\",\"c\"]", "standard input:2: "),
        ("\"a", "standard input:2: EOF"),
        ("{}", "standard input:2: "),
    ] {
        let input = format!("\"a\"\n{line}\n");
        let outcome = lanerank_with(&["tokenize", "--vocab", &vocab], &input);
        assert_eq!(outcome.code, 2, "{line}");
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
        // The lines before the error are there.
        assert!(
            outcome.stdout.starts_with("{\"ids\":[2,5,3]"),
            "{}",
            outcome.stdout
        );
    }
    let other = tiny.write("bpe.json", "{\"model\":{\"type\":\"BPE\"}}");
    lanerank(&["tokenize", "--tokenizer", &other]).refused("model \"BPE\"");
    lanerank(&["tokenize", "--vocab", "/no/such.txt"]).refused("/no/such.txt");
    lanerank(&["tokenize", "--vocab", &vocab, "--tokenizer", &other])
        .refused("cannot be used with");
    lanerank(&["tokenize", "--cased"]).refused("--vocab");
}
