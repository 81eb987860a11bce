//! Serialized plans with the function, as other executors receive them: bytes with its name.

mod common;

use std::sync::Arc;

use common::{Kind, batch, by_id, context, expected, pairs, ranker, write_parquet};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use datafusion_proto::bytes::{
    logical_plan_from_bytes, logical_plan_to_bytes, physical_plan_from_bytes,
    physical_plan_to_bytes,
};

const SQL: &str = "SELECT id, rerank_score(query, passage) AS score FROM pairs
                   WHERE rerank_score(query, passage) > 0.2";

struct Sent {
    logical: Vec<u8>,
    physical: Vec<u8>,
    expected: Vec<(i64, Option<f32>)>,
    _folder: tempfile::TempDir,
}

/// A query's plan as bytes, and its rows.
async fn sent() -> Sent {
    let (ranker, pairs) = (ranker(), pairs(500));
    let folder = tempfile::tempdir().unwrap();
    write_parquet(folder.path(), &batch(&pairs, Kind::Utf8, Kind::Utf8), 3);
    let context = context(&ranker, 2, 100);
    let (path, options) = (
        folder.path().to_str().unwrap(),
        ParquetReadOptions::default(),
    );
    context
        .register_parquet("pairs", path, options)
        .await
        .unwrap();
    let frame = context.sql(SQL).await.unwrap();
    let logical = logical_plan_to_bytes(frame.logical_plan())
        .unwrap()
        .to_vec();
    let plan: Arc<dyn ExecutionPlan> = frame.create_physical_plan().await.unwrap();
    let physical = physical_plan_to_bytes(plan).unwrap().to_vec();
    let all = (0..).zip(expected(&ranker, &pairs));
    let expected: Vec<_> = all
        .filter(|(_, score)| score.is_some_and(|score| score > 0.2))
        .collect();
    assert!((50..450).contains(&expected.len()), "{}", expected.len());
    Sent {
        logical,
        physical,
        expected,
        _folder: folder,
    }
}

#[tokio::test]
async fn a_context_with_the_function_runs_them() {
    let sent = sent().await;
    let other = context(&ranker(), 2, 100);
    let task = other.task_ctx();
    let plan = logical_plan_from_bytes(&sent.logical, &task).unwrap();
    let batches = other
        .execute_logical_plan(plan)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(by_id(&batches), sent.expected);
    let plan = physical_plan_from_bytes(&sent.physical, &task).unwrap();
    assert_eq!(by_id(&collect(plan, task).await.unwrap()), sent.expected);
}

#[tokio::test]
async fn a_context_without_it_says_so() {
    let sent = sent().await;
    let task = SessionContext::new().task_ctx();
    let error = logical_plan_from_bytes(&sent.logical, &task).unwrap_err();
    assert!(error.to_string().contains("rerank_score"), "{error}");
    let error = physical_plan_from_bytes(&sent.physical, &task).unwrap_err();
    assert!(error.to_string().contains("rerank_score"), "{error}");
}

#[tokio::test]
async fn bytes_that_were_cut_are_an_error() {
    let sent = sent().await;
    let task = context(&ranker(), 1, 100).task_ctx();
    assert!(logical_plan_from_bytes(&sent.logical[..sent.logical.len() / 2], &task).is_err());
}
