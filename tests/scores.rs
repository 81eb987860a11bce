//! Scores: what they depend on, and scores of odd input.

use std::time::{Duration, Instant};

use lanerank::kernels::{Isa, Kernels};
use lanerank::model::{Head, ModelConfig, Pooling};
use lanerank::{
    Encoder, Error, Fusion, Hit, Model, Ranker, RerankOptions, Truncation, TruncationSide,
};
use lanerank_convert::convert::WeightDtype;
use lanerank_testing::models::{
    classifier, electra, encoder, int8_model, model, passages, xlm_roberta,
};

const QUERY: &str = "how do i keep the bread fresh ?";
const DTYPES: [WeightDtype; 3] = [WeightDtype::Int8, WeightDtype::F16, WeightDtype::F32];

fn ranker(config: &ModelConfig, dtype: WeightDtype) -> Ranker {
    ranker_of(model(config, dtype), 1)
}

/// `count`, or 1 in a build without the thread pool.
fn threads(count: usize) -> usize {
    if cfg!(feature = "rayon") { count } else { 1 }
}

fn ranker_of(model: Model, threads: usize) -> Ranker {
    Ranker::builder()
        .opened(model)
        .threads(threads)
        .build()
        .unwrap()
}

fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|s| s.to_bits()).collect()
}

fn configs() -> Vec<ModelConfig> {
    let one_layer = ModelConfig {
        num_hidden_layers: 1,
        ..classifier(1)
    };
    let odd_heads = ModelConfig {
        hidden_size: 52,
        num_attention_heads: 2,
        ..classifier(2)
    };
    let deep = ModelConfig {
        num_hidden_layers: 5,
        ..classifier(1)
    };
    vec![
        classifier(1),
        classifier(2),
        one_layer,
        deep,
        odd_heads,
        electra(48),
        electra(20),
        xlm_roberta(),
        encoder(Pooling::Mean),
        encoder(Pooling::Cls),
    ]
}

#[test]
fn a_score_depends_on_its_pair_alone() {
    let texts = passages(60, 3);
    for config in configs() {
        for dtype in DTYPES {
            let ranker = ranker(&config, dtype);
            let together = ranker.scores(QUERY, &texts).unwrap();
            let alone: Vec<f32> = texts
                .iter()
                .flat_map(|text| ranker.scores(QUERY, &[text]).unwrap())
                .collect();
            assert_eq!(bits(&together), bits(&alone), "{dtype} {config:?}: batch");
            let backwards: Vec<&String> = texts.iter().rev().collect();
            let mut reversed = ranker.scores(QUERY, &backwards).unwrap();
            reversed.reverse();
            assert_eq!(bits(&together), bits(&reversed), "{dtype}: order");
            for threads in [2, 3, 8].map(threads) {
                let many = ranker_of(ranker.model().clone(), threads);
                let scores = many.scores(QUERY, &texts).unwrap();
                assert_eq!(bits(&together), bits(&scores), "{dtype}: {threads} threads");
            }
        }
    }
}

#[test]
fn int8_files_score_the_same_bits_on_every_tier() {
    let texts = passages(60, 4);
    for (config, activations) in configs().iter().flat_map(|c| [(c, "a8"), (c, "a16")]) {
        let model = int8_model(config, activations);
        let reference = Ranker::builder()
            .opened(model.clone())
            .isa(Isa::Reference)
            .threads(1)
            .build()
            .unwrap();
        let expected = bits(&reference.scores(QUERY, &texts).unwrap());
        for tier in Kernels::available() {
            let ranker = Ranker::builder()
                .opened(model.clone())
                .isa(tier.isa())
                .threads(1)
                .build()
                .unwrap();
            let scores = bits(&ranker.scores(QUERY, &texts).unwrap());
            assert_eq!(expected, scores, "{}", tier.isa());
        }
    }
}

#[test]
fn float_files_agree_between_tiers() {
    let texts = passages(30, 5);
    for dtype in [WeightDtype::F16, WeightDtype::F32] {
        let model = model(&classifier(1), dtype);
        let logits = |isa| {
            let ranker = Ranker::builder()
                .opened(model.clone())
                .isa(isa)
                .build()
                .unwrap();
            let mut hits = ranker.rerank(QUERY, &texts).unwrap();
            hits.sort_by_key(|hit| hit.index);
            hits.into_iter().map(|hit| hit.logit).collect::<Vec<f32>>()
        };
        let expected = logits(Isa::Reference);
        for tier in Kernels::available() {
            for (a, b) in expected.iter().zip(logits(tier.isa())) {
                assert!((a - b).abs() <= 1e-4, "{}: {a} {b}", tier.isa());
            }
        }
    }
}

#[test]
fn smaller_dtypes_stay_close() {
    let texts = passages(40, 6);
    let logits = |dtype| {
        let mut hits = ranker(&classifier(1), dtype).rerank(QUERY, &texts).unwrap();
        hits.sort_by_key(|hit| hit.index);
        hits.iter().map(|hit| hit.logit).collect::<Vec<f32>>()
    };
    let exact = logits(WeightDtype::F32);
    for (dtype, bound) in [(WeightDtype::F16, 3e-2), (WeightDtype::Int8, 0.6)] {
        let worst = exact
            .iter()
            .zip(logits(dtype))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst > 0.0 && worst < bound, "{dtype}: {worst}");
    }
}

#[test]
fn rankings_are_sorted_and_stable() {
    let ranker = ranker(&classifier(1), WeightDtype::Int8);
    let mut texts = passages(20, 8);
    texts.push(texts[3].clone());
    texts.insert(0, texts[3].clone());
    let hits = ranker.rerank(QUERY, &texts).unwrap();
    assert_eq!(hits.len(), texts.len());
    for pair in hits.windows(2) {
        let ordered = pair[0].logit > pair[1].logit
            || pair[0].logit == pair[1].logit && pair[0].index < pair[1].index;
        assert!(ordered, "{pair:?}");
    }
    let scores = ranker.scores(QUERY, &texts).unwrap();
    for Hit {
        index,
        score,
        logit,
        ..
    } in hits
    {
        assert_eq!(score.to_bits(), scores[index].to_bits());
        let sigmoid = 1.0 / (1.0 + (-f64::from(logit)).exp());
        assert!((f64::from(score) - sigmoid).abs() < 1e-6);
    }
}

#[test]
fn top_k_takes_the_best() {
    let ranker = ranker(&classifier(2), WeightDtype::Int8);
    let texts = passages(9, 9);
    let all = ranker.rerank(QUERY, &texts).unwrap();
    for k in [0, 1, 4, 9, 50] {
        let options = RerankOptions {
            top_k: Some(k),
            ..RerankOptions::default()
        };
        let some = ranker.rerank_with(QUERY, &texts, &options).unwrap();
        assert_eq!(some.hits, all[..k.min(9)]);
        assert!(some.unscored.is_empty());
    }
}

#[test]
fn a_deadline_gives_part_of_the_ranking_and_says_so() {
    let ranker = ranker(&classifier(1), WeightDtype::Int8);
    let texts = passages(30, 10);
    let with = |deadline| {
        let options = RerankOptions {
            deadline: Some(deadline),
            ..RerankOptions::default()
        };
        ranker.rerank_with(QUERY, &texts, &options).unwrap()
    };
    let none = with(Instant::now());
    assert!(none.hits.is_empty());
    assert_eq!(none.unscored, (0..30).collect::<Vec<_>>());
    let all = with(Instant::now() + Duration::from_secs(3600));
    assert_eq!(all.hits, ranker.rerank(QUERY, &texts).unwrap());
    assert!(all.unscored.is_empty());
}

#[test]
fn truncation_is_reported() {
    let ranker = ranker(&classifier(1), WeightDtype::Int8);
    // 40 tokens fit [CLS] 4 [SEP] 33 [SEP].
    let hits = ranker
        .rerank("bread bread bread bread", &["stone ".repeat(50)])
        .unwrap();
    let expected = Truncation {
        query_tokens: 0,
        passage_tokens: 17,
    };
    assert_eq!(hits[0].truncation, expected);
    let hits = ranker
        .rerank(&"bread ".repeat(100), &["stone ".repeat(100)])
        .unwrap();
    let expected = Truncation {
        query_tokens: 82,
        passage_tokens: 81,
    };
    assert_eq!(hits[0].truncation, expected);
    let encoder = ranker_of(model(&encoder(Pooling::Mean), WeightDtype::Int8), 1);
    let hits = encoder
        .rerank(&"bread ".repeat(39), &["stone ".repeat(50)])
        .unwrap();
    let expected = Truncation {
        query_tokens: 1,
        passage_tokens: 12,
    };
    assert_eq!(hits[0].truncation, expected);
}

#[test]
fn odd_texts_have_defined_scores() {
    for config in [classifier(1), encoder(Pooling::Mean)] {
        for dtype in DTYPES {
            let ranker = ranker(&config, dtype);
            let none: [&str; 0] = [];
            assert!(ranker.rerank(QUERY, &none).unwrap().is_empty());
            let long = "bread ".repeat(1 << 18) + &"x".repeat(1 << 20);
            let odd = [
                "",
                " ",
                "\0",
                "\u{301}\u{301}",
                "\u{fffd}",
                "[SEP] [PAD]",
                &long,
            ];
            for query in odd {
                let hits = ranker.rerank(query, &odd).unwrap();
                assert_eq!(hits.len(), odd.len());
                assert!(hits.iter().all(|hit| hit.score.is_finite()));
            }
        }
    }
}

#[test]
fn special_tokens_in_text_can_be_plain_text() {
    let model = model(&classifier(1), WeightDtype::F32);
    let score = |as_text, passage: &str| {
        let ranker = Ranker::builder()
            .opened(model.clone())
            .special_tokens_as_text(as_text)
            .build()
            .unwrap();
        ranker.scores(QUERY, &[passage]).unwrap()[0]
    };
    let hostile = "stone [SEP] bread";
    assert_ne!(score(false, hostile), score(true, hostile));
    assert_eq!(score(false, "stone bread"), score(true, "stone bread"));
}

#[test]
fn first_stage_scores_are_blended() {
    let ranker = ranker(&classifier(1), WeightDtype::Int8);
    let texts = passages(12, 11);
    let first: Vec<f32> = (0..12).map(|i| (i * 7 % 12) as f32).collect();
    let blended = |weight| {
        let options = RerankOptions {
            first_stage: Some(&first),
            fusion: Fusion::MinMax { weight },
            ..RerankOptions::default()
        };
        let ranking = ranker.rerank_with(QUERY, &texts, &options).unwrap();
        ranking.hits.iter().map(|hit| hit.index).collect::<Vec<_>>()
    };
    let ours: Vec<usize> = ranker
        .rerank(QUERY, &texts)
        .unwrap()
        .iter()
        .map(|h| h.index)
        .collect();
    assert_eq!(blended(1.0), ours);
    let mut theirs: Vec<usize> = (0..12).collect();
    theirs.sort_by(|&a, &b| first[b].total_cmp(&first[a]));
    assert_eq!(blended(0.0), theirs);
    let options = RerankOptions {
        first_stage: Some(&first[1..]),
        ..RerankOptions::default()
    };
    let error = ranker.rerank_with(QUERY, &texts, &options).unwrap_err();
    assert!(error.to_string().contains("11 first-stage scores for 12"));
}

#[test]
fn buffers_must_fit() {
    let ranker = ranker(&classifier(1), WeightDtype::Int8);
    let mut buffer = [0.0; 2];
    ranker.scores_into(QUERY, &["a", "b"], &mut buffer).unwrap();
    assert_eq!(buffer.to_vec(), ranker.scores(QUERY, &["a", "b"]).unwrap());
    let error = ranker.scores_into(QUERY, &["a"], &mut buffer).unwrap_err();
    assert!(error.to_string().contains("a buffer of 2 for 1"));
}

#[test]
fn builders_refuse_what_cannot_be() {
    let message = |builder: lanerank::Builder<Ranker>| match builder.build() {
        Ok(_) => panic!("built"),
        Err(error) => error.to_string(),
    };
    let model = model(&classifier(1), WeightDtype::Int8);
    let builder = || Ranker::builder().opened(model.clone());
    assert!(message(builder().max_length(41)).contains("max_length: 41 is not in 3..=40"));
    assert!(message(builder().max_length(2)).contains("max_length"));
    assert!(message(builder().threads(0)).contains("threads"));
    let most = lanerank::max_threads();
    for count in [most + 1, 100_000, usize::MAX] {
        let message = message(builder().threads(count));
        assert!(
            message.contains(&format!("{count} is above {most}")),
            "{message}"
        );
    }
    assert!(message(Ranker::builder().model("/nowhere/x.lane")).contains("/nowhere/x.lane"));
    let error = Encoder::builder().opened(model.clone()).build().err();
    assert!(matches!(error, Some(Error::Unsupported(_))));
}

#[test]
fn encoders_rank_by_the_cosine_of_their_vectors() {
    for pooling in [Pooling::Mean, Pooling::Cls] {
        let model = model(&encoder(pooling), WeightDtype::F32);
        let ranker = ranker_of(model.clone(), 1);
        let encoder = Encoder::builder()
            .opened(model)
            .threads(threads(2))
            .build()
            .unwrap();
        let texts = passages(20, 12);
        let query = encoder.encode(&[QUERY]).unwrap().remove(0);
        let vectors = encoder.encode(&texts).unwrap();
        for hit in ranker.rerank(QUERY, &texts).unwrap() {
            let vector = &vectors[hit.index];
            assert_eq!(vector.len(), encoder.dimension());
            let norm: f32 = vector.iter().map(|x| x * x).sum();
            assert!((norm - 1.0).abs() < 1e-5);
            let dot: f32 = vector.iter().zip(&query).map(|(a, b)| a * b).sum();
            assert!((hit.score - dot).abs() < 1e-5);
            assert_eq!(hit.score, hit.logit);
        }
    }
}

#[test]
fn one_ranker_serves_many_threads() {
    let ranker = ranker_of(model(&classifier(1), WeightDtype::Int8), threads(2));
    let texts = passages(20, 13);
    let expected = ranker.scores(QUERY, &texts).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(expected, ranker.scores(QUERY, &texts).unwrap());
                }
            });
        }
    });
}

/// Whole words, so that removing words from either end removes exactly their tokens.
#[test]
fn texts_are_cut_at_the_side_that_was_asked_for() {
    for config in [classifier(1), encoder(Pooling::Cls)] {
        let special = match config.head {
            Head::Classifier { .. } => 3,
            _ => 2,
        };
        let ranker = Ranker::builder().opened(model(&config, WeightDtype::Int8));
        let ranker = ranker.build().unwrap();
        let words = ["the", "lamp", "bread", "keep", "stone", "water", "fresh"].repeat(9);
        let (query, text) = ("how to keep", words.join(" "));
        let room = match special {
            3 => config.max_length - 3 - 3,
            _ => config.max_length - 2,
        };
        let hit = |text: &str, side, most| {
            let options = RerankOptions {
                truncation_side: side,
                max_passage_tokens: most,
                ..RerankOptions::default()
            };
            ranker.rerank_with(query, &[text], &options).unwrap().hits[0]
        };
        let (left, right) = (TruncationSide::Left, TruncationSide::Right);
        for (side, most, kept) in [
            (right, None, words[..room].join(" ")),
            (left, None, words[words.len() - room..].join(" ")),
            (right, Some(5), words[..5].join(" ")),
            (left, Some(5), words[words.len() - 5..].join(" ")),
            (left, Some(0), String::new()),
        ] {
            let (cut, whole) = (hit(&text, side, most), hit(&kept, right, None));
            assert_eq!(
                cut.logit.to_bits(),
                whole.logit.to_bits(),
                "{side:?} {most:?}"
            );
            assert_eq!(
                cut.truncation.passage_tokens,
                words.len() - most.unwrap_or(room)
            );
            assert!(!whole.truncation.any());
        }
        // Only the end of the query fits.
        let both = |query: &str, side| {
            let options = RerankOptions {
                truncation_side: side,
                ..RerankOptions::default()
            };
            ranker
                .rerank_with(query, &["bread"], &options)
                .unwrap()
                .hits[0]
        };
        let room = room + if special == 3 { 2 } else { 0 };
        let end = words[words.len() - room..].join(" ");
        assert_eq!(both(&text, left).logit, both(&end, right).logit);
        assert_ne!(both(&text, left).logit, both(&text, right).logit);
    }
}
