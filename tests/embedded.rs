//! The embedded model opens, passes its self-test and ranks sensibly.
#![cfg(feature = "embedded-model")]

use lanerank::format::directory::Dtype;
use lanerank::kernels::{Isa, Kernels};
use lanerank::model::Head;
use lanerank::{Encoder, Error, Model, Ranker};

/// Everyday questions, each with its answer. The other answers are irrelevant to it.
const ANSWERED: [(&str, &str); 8] = [
    (
        "how do I keep bread fresh",
        "Bread stays fresh longest in a paper bag inside a closed box; the refrigerator dries it \
         out.",
    ),
    (
        "what is the capital of France",
        "Paris is the capital and largest city of France, on the river Seine.",
    ),
    (
        "symptoms of the flu",
        "Influenza, the flu, brings fever, cough, a sore throat, headache and tired muscles.",
    ),
    (
        "who wrote Romeo and Juliet",
        "Romeo and Juliet is a tragedy written by William Shakespeare early in his career.",
    ),
    (
        "how does a solar panel make electricity",
        "A solar panel turns sunlight into electricity: light frees electrons in its silicon \
         cells.",
    ),
    (
        "python read a file line by line",
        "In Python, open the file in a with statement and loop over it to read it line by line.",
    ),
    (
        "why do cats purr",
        "Cats purr when they are content, and sometimes when hurt; purring may calm the cat.",
    ),
    (
        "when did the second world war end",
        "The Second World War ended in 1945, in Europe in May and in Asia in September.",
    ),
];

fn passages() -> [&'static str; ANSWERED.len()] {
    ANSWERED.map(|(_, passage)| passage)
}

#[test]
fn its_shape_is_the_one_that_is_documented() {
    let model = Model::embedded().unwrap();
    let config = model.config();
    assert_eq!((config.num_hidden_layers, config.hidden_size), (2, 128));
    assert_eq!(
        (config.num_attention_heads, config.intermediate_size),
        (2, 512)
    );
    assert_eq!((config.vocab_size, config.max_length), (30522, 512));
    assert_eq!(model.tokenizer().vocab_size(), 30522);
    assert!(model.tokenizer().config().lowercase);
    assert_eq!(config.head, Head::Classifier { num_labels: 1 });
    assert!(model.file_len() <= 5_000_000, "{}", model.file_len());
    let words = |s: &&lanerank::format::directory::Section| s.name == "embeddings.word.weight";
    let words = model.sections().iter().find(words).unwrap();
    assert_eq!(words.dtype, Dtype::I8);
}

#[test]
fn its_self_test_comes_out_on_every_tier() {
    let model = Model::embedded().unwrap();
    for tier in Kernels::available() {
        let report = model.check(tier).unwrap();
        assert!(report.stored.len() >= 3);
        assert_eq!(report.max_difference, 0.0, "{}", tier.isa());
    }
}

#[test]
fn its_scores_have_the_same_bits_on_every_tier() {
    let logits = |isa: Isa| -> Vec<(usize, u32)> {
        let ranker = Ranker::builder().isa(isa).threads(1).build().unwrap();
        let hits = |query| ranker.rerank(query, &passages()).unwrap();
        let all = ANSWERED.iter().flat_map(|(query, _)| hits(query));
        all.map(|hit| (hit.index, hit.logit.to_bits())).collect()
    };
    let expected = logits(Isa::Reference);
    for tier in Kernels::available() {
        assert_eq!(expected, logits(tier.isa()), "{}", tier.isa());
    }
}

#[test]
fn it_puts_the_passage_that_answers_first() {
    let ranker = Ranker::new().unwrap();
    for (i, (query, answer)) in ANSWERED.into_iter().enumerate() {
        let hits = ranker.rerank(query, &passages()).unwrap();
        let found = passages()[hits[0].index];
        assert_eq!(hits[0].index, i, "{query}: {found} before {answer}");
        assert!(hits[0].score > hits[1].score, "{query}");
    }
}

#[test]
fn a_ranker_takes_it_where_no_model_is_named() {
    let scores = |ranker: Ranker| ranker.scores(ANSWERED[0].0, &passages()).unwrap();
    let expected = scores(Ranker::new().unwrap());
    let built = Ranker::builder().threads(1).max_length(512).build();
    assert_eq!(expected, scores(built.unwrap()));
    let model = Model::embedded().unwrap();
    let opened = Ranker::builder().opened(model).build();
    assert_eq!(expected, scores(opened.unwrap()));
}

#[test]
fn an_encoder_refuses_it() {
    let error = |builder: lanerank::Builder<Encoder>| builder.build().err().unwrap();
    let unnamed = error(Encoder::builder());
    assert!(matches!(unnamed, Error::Argument(_)), "{unnamed}");
    assert!(unnamed.to_string().contains("needs a sentence encoder"));
    let named = error(Encoder::builder().opened(Model::embedded().unwrap()));
    assert!(matches!(named, Error::Unsupported(_)), "{named}");
}
