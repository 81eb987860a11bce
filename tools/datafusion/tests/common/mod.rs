//! Pairs, and Parquet files of them.
#![allow(dead_code, reason = "each test program uses some of it")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray,
};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{SessionConfig, SessionContext};
use lanerank::Ranker;

/// A row: query and passage.
pub type Pair = (Option<String>, Option<String>);

/// Rows in groups of 7 with the same query; some texts are null, empty, or in other scripts.
pub fn pairs(count: usize) -> Vec<Pair> {
    let words = [
        "bread", "keeps", "fresh", "paper", "naïve", "東京", "🍞", "lamp", "dusk", "river",
    ];
    let text = |seed: usize, length: usize| {
        let word = |i: usize| words[(seed * 31 + i * i * 7 + i * seed) % words.len()];
        (0..length).map(word).collect::<Vec<_>>().join(" ")
    };
    let row = |i: usize| {
        let query = (i % 70 != 69).then(|| text(i / 7, 3 + i / 7 % 4));
        let passage = (i % 23 != 5).then(|| text(i * 17 + 3, i % 19));
        (query, passage)
    };
    (0..count).map(row).collect()
}

/// The score of [`Ranker::scores`] for each row alone.
pub fn expected(ranker: &Ranker, pairs: &[Pair]) -> Vec<Option<f32>> {
    let score = |(query, passage): &Pair| {
        let (query, passage) = (query.as_deref()?, passage.as_deref()?);
        Some(
            ranker
                .scores(query, &[passage])
                .expect("the model has scores for all texts")[0],
        )
    };
    pairs.iter().map(score).collect()
}

/// A single-threaded ranker.
pub fn ranker() -> Ranker {
    Ranker::builder()
        .threads(1)
        .build()
        .expect("the embedded model opens")
}

/// The string types of Arrow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Utf8,
    LargeUtf8,
    Utf8View,
}

/// A column of strings.
pub fn strings<'a>(kind: Kind, texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    match kind {
        Kind::Utf8 => Arc::new(texts.collect::<StringArray>()),
        Kind::LargeUtf8 => Arc::new(texts.collect::<LargeStringArray>()),
        Kind::Utf8View => Arc::new(texts.collect::<StringViewArray>()),
    }
}

/// Columns id, query, passage.
pub fn batch(pairs: &[Pair], query: Kind, passage: Kind) -> RecordBatch {
    let ids = Int64Array::from_iter_values(0..pairs.len() as i64);
    let queries = strings(query, pairs.iter().map(|pair| pair.0.as_deref()));
    let passages = strings(passage, pairs.iter().map(|pair| pair.1.as_deref()));
    let columns = [
        ("id", Arc::new(ids) as ArrayRef),
        ("query", queries),
        ("passage", passages),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .expect("columns of one length")
}

/// The rows, split into `files` Parquet files.
pub fn write_parquet(folder: &Path, rows: &RecordBatch, files: usize) {
    let size = rows.num_rows().div_ceil(files);
    for i in 0..files {
        let start = (i * size).min(rows.num_rows());
        let part = rows.slice(start, size.min(rows.num_rows() - start));
        let file = File::create(folder.join(format!("{i}.parquet"))).expect("a new file");
        let mut writer = ArrowWriter::try_new(file, rows.schema(), None).expect("a Parquet file");
        writer.write(&part).expect("rows of the schema");
        writer.close().expect("the file's footer");
    }
}

/// A context with the function.
pub fn context(ranker: &Ranker, partitions: usize, batch_size: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions);
    let context = SessionContext::new_with_config(config.with_batch_size(batch_size));
    lanerank_datafusion::register(&context, ranker.clone());
    context
}

/// The columns id and score of all batches, sorted by id.
pub fn by_id(batches: &[RecordBatch]) -> Vec<(i64, Option<f32>)> {
    let mut found = Vec::new();
    for batch in batches {
        let ids = batch
            .column_by_name("id")
            .expect("a column id")
            .as_primitive::<Int64Type>();
        let scores = batch.column_by_name("score").expect("a column score");
        let scores: &Float32Array = scores.as_primitive();
        found.extend((0..batch.num_rows()).map(|i| (ids.value(i), score(scores, i))));
    }
    found.sort_by_key(|&(id, _)| id);
    found
}

fn score(scores: &Float32Array, row: usize) -> Option<f32> {
    scores.is_valid(row).then(|| scores.value(row))
}

/// Runs SQL.
pub async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    context.sql(sql).await?.collect().await
}
