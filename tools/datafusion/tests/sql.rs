//! The function in SQL, over Parquet and in memory.

mod common;

use common::{Kind, batch, by_id, context, expected, pairs, ranker, rows, write_parquet};
use datafusion::error::DataFusionError;
use datafusion::prelude::ParquetReadOptions;

const SQL: &str = "SELECT id, rerank_score(query, passage) AS score FROM pairs";

fn numbered(scores: Vec<Option<f32>>) -> Vec<(i64, Option<f32>)> {
    (0..).zip(scores).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_parquet_the_bits_of_scores() {
    let (ranker, pairs) = (ranker(), pairs(3000));
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), &batch(&pairs, Kind::Utf8, Kind::Utf8), 5);
    let all = numbered(expected(&ranker, &pairs));
    assert!(all.iter().filter(|(_, score)| score.is_none()).count() > 100);
    for (partitions, batch_size) in [(1, 8192), (2, 100), (4, 1)] {
        let context = context(&ranker, partitions, batch_size);
        let options = ParquetReadOptions::default();
        let path = folder.path().to_str().unwrap();
        context
            .register_parquet("pairs", path, options)
            .await
            .unwrap();
        assert_eq!(by_id(&rows(&context, SQL).await.unwrap()), all);

        let best = format!("{SQL} ORDER BY score DESC NULLS LAST, id LIMIT 10");
        let best = rows(&context, &best).await.unwrap();
        let mut sorted: Vec<_> = all
            .iter()
            .filter_map(|&(id, score)| Some((id, score?)))
            .collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut sorted: Vec<_> = sorted[..10]
            .iter()
            .map(|&(id, score)| (id, Some(score)))
            .collect();
        sorted.sort_by_key(|&(id, _)| id);
        assert_eq!(by_id(&best), sorted);
    }
}

#[tokio::test]
async fn every_string_type_and_constants() {
    let (ranker, pairs) = (ranker(), pairs(100));
    let all = numbered(expected(&ranker, &pairs));
    let kinds = [Kind::Utf8, Kind::LargeUtf8, Kind::Utf8View];
    for (query, passage) in kinds.into_iter().flat_map(|q| kinds.map(|p| (q, p))) {
        let context = context(&ranker, 1, 64);
        context
            .register_batch("pairs", batch(&pairs, query, passage))
            .unwrap();
        let found = by_id(&rows(&context, SQL).await.unwrap());
        assert_eq!(found, all, "{query:?}, {passage:?}");

        let text = "bread keeps 東京";
        let constant: Vec<_> = pairs
            .iter()
            .map(|pair| (Some(text.into()), pair.1.clone()))
            .collect();
        let sql = format!("SELECT id, rerank_score('{text}', passage) AS score FROM pairs");
        let found = by_id(&rows(&context, &sql).await.unwrap());
        assert_eq!(found, numbered(expected(&ranker, &constant)));
        let constant: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.0.clone(), Some(text.into())))
            .collect();
        let sql = format!("SELECT id, rerank_score(query, '{text}') AS score FROM pairs");
        let found = by_id(&rows(&context, &sql).await.unwrap());
        assert_eq!(found, numbered(expected(&ranker, &constant)));
    }
}

#[tokio::test]
async fn two_constants_dictionaries_and_nulls() {
    let ranker = ranker();
    let context = context(&ranker, 1, 64);
    let score = async |arguments: &str| {
        let sql = format!("SELECT CAST(1 AS BIGINT) AS id, rerank_score({arguments}) AS score");
        by_id(&rows(&context, &sql).await.unwrap())
    };
    let plain = ranker.scores("keep bread", &["fresh bread"]).unwrap()[0];
    assert_eq!(
        score("'keep bread', 'fresh bread'").await,
        [(1, Some(plain))]
    );
    let dictionary = "arrow_cast('keep bread', 'Dictionary(Int32, Utf8)'), 'fresh bread'";
    assert_eq!(score(dictionary).await, [(1, Some(plain))]);
    for nulls in [
        "NULL, 'x'",
        "'x', NULL",
        "NULL, NULL",
        "CAST(NULL AS VARCHAR), 'x'",
    ] {
        assert_eq!(score(nulls).await, [(1, None)], "{nulls}");
    }
    context
        .register_batch("pairs", batch(&pairs(20), Kind::Utf8, Kind::Utf8))
        .unwrap();
    let nulls = "SELECT id, rerank_score(NULL, passage) AS score FROM pairs";
    let found = by_id(&rows(&context, nulls).await.unwrap());
    assert!(found.len() == 20 && found.iter().all(|(_, score)| score.is_none()));
    let nothing = format!("{SQL} WHERE id > 1000");
    assert!(by_id(&rows(&context, &nothing).await.unwrap()).is_empty());
}

#[tokio::test]
async fn mistakes_are_errors_of_the_plan() {
    let context = context(&ranker(), 1, 64);
    for (arguments, words) in [
        ("'q'", "rerank_score"),
        ("'q', 'p', 'x'", "rerank_score"),
        ("'q', 3", "passage is Int64, not a string"),
        ("TRUE, 'p'", "query is Boolean, not a string"),
    ] {
        let error = context
            .sql(&format!("SELECT rerank_score({arguments})"))
            .await
            .unwrap_err();
        let error = error.find_root();
        assert!(
            matches!(error, DataFusionError::Plan(_)),
            "{arguments}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{arguments}: {error}");
    }
}

#[tokio::test]
async fn equal_calls_are_computed_once_and_constants_when_planned() {
    let ranker = ranker();
    let context = context(&ranker, 1, 64);
    context
        .register_batch("pairs", batch(&pairs(20), Kind::Utf8, Kind::Utf8))
        .unwrap();
    let twice =
        "SELECT rerank_score(query, passage) + rerank_score(query, passage) AS s FROM pairs";
    let plan = context
        .sql(twice)
        .await
        .unwrap()
        .into_optimized_plan()
        .unwrap();
    assert_eq!(
        plan.display_indent()
            .to_string()
            .matches("rerank_score(")
            .count(),
        1,
        "{plan}"
    );
    let constant = context
        .sql("SELECT rerank_score('a', 'b') AS s")
        .await
        .unwrap();
    let plan = constant
        .into_optimized_plan()
        .unwrap()
        .display_indent()
        .to_string();
    assert!(!plan.contains("rerank_score("), "{plan}");
}
