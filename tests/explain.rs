//! Effects of words on a score. The command line's tests compare their values with torch.

use std::time::Instant;

use lanerank::model::{Head, ModelConfig, Pooling};
use lanerank::{Error, Ranker, RerankOptions, TruncationSide};
use lanerank_convert::convert::WeightDtype;
use lanerank_testing::models::{classifier, encoder, model};

const QUERY: &str = "how do i keep the bread fresh ?";

#[test]
fn explanations_are_of_the_same_bits() {
    let one_layer = ModelConfig {
        num_hidden_layers: 1,
        ..classifier(1)
    };
    for dtype in [WeightDtype::Int8, WeightDtype::F32] {
        for config in [
            classifier(1),
            classifier(2),
            one_layer.clone(),
            encoder(Pooling::Mean),
        ] {
            let opened = Ranker::builder().opened(model(&config, dtype)).threads(1);
            let ranker = opened.build().unwrap();
            let options = |truncation_side| RerankOptions {
                truncation_side,
                ..RerankOptions::default()
            };
            let long = "bread, the lamp ".repeat(100);
            let passages = ["", "fresh bread", long.as_str()];
            for side in [TruncationSide::Right, TruncationSide::Left] {
                let options = options(side);
                let ranking = ranker.rerank_with(QUERY, &passages, &options).unwrap();
                for hit in ranking.hits {
                    let passage = passages[hit.index];
                    let explained = ranker.explain(QUERY, passage, &options);
                    if let Head::Encoder { .. } = config.head {
                        assert!(matches!(explained, Err(Error::Argument(_))));
                        continue;
                    }
                    let explained = explained.unwrap();
                    assert_eq!(explained.logit.to_bits(), hit.logit.to_bits());
                    assert_eq!(explained.score.to_bits(), hit.score.to_bits());
                    assert_eq!(explained.truncation, hit.truncation);
                    let pieces = explained
                        .spans
                        .iter()
                        .map(|span| &passage[span.range.clone()]);
                    assert_eq!(pieces.collect::<String>(), passage);
                    let read = explained.spans.iter().filter(|span| span.effect.is_some());
                    assert_eq!(read.count() > 0, !passage.is_empty());
                    let cut = hit.truncation.passage_tokens > 0;
                    let end = match side {
                        TruncationSide::Right => explained.spans.last(),
                        TruncationSide::Left => explained.spans.first(),
                    };
                    assert!(!cut || end.unwrap().effect.is_none());
                }
            }
        }
    }
}

#[test]
fn a_deadline_leaves_words_without_an_effect() {
    let opened = Ranker::builder().opened(model(&classifier(1), WeightDtype::Int8));
    let ranker = opened.threads(1).build().unwrap();
    let passage = "fresh bread, the lamp";
    let options = |deadline| RerankOptions {
        deadline,
        ..RerankOptions::default()
    };
    let explain = |options| ranker.explain(QUERY, passage, &options).unwrap();
    let whole = explain(options(None));
    assert_eq!(whole.unexplained, 0);
    assert_eq!(whole.spans.iter().flat_map(|span| span.effect).count(), 5);
    let late = explain(options(Some(Instant::now())));
    assert_eq!(late.unexplained, 5);
    assert_eq!(late.logit.to_bits(), whole.logit.to_bits());
    assert!(late.spans.iter().all(|span| span.effect.is_none()));
}
