//! Runs SQL with `rerank_score` over a Parquet file, or a folder of them, as the table `pairs`.
//!
//! ```sh
//! lanerank-datafusion FILE.parquet \
//!     "SELECT id, rerank_score(query, passage) AS score FROM pairs" [PARTITIONS]
//! ```
//!
//! `PARTITIONS` is the number of partitions computed in parallel (default: the number of cores).
//! `LANERANK_MODEL` names a model file (default: the embedded model).

use std::env;
use std::process::ExitCode;

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use lanerank::Ranker;

type Error = Box<dyn std::error::Error>;

const USAGE: &str =
    "usage: lanerank-datafusion FILE.parquet \"SELECT ... FROM pairs\" [PARTITIONS]";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let (file, sql, partitions) = match &args[..] {
        [file, sql] => (file, sql, None),
        [file, sql, partitions] => match partitions.parse() {
            Ok(partitions) if partitions > 0 => (file, sql, Some(partitions)),
            _ => return usage(),
        },
        _ => return usage(),
    };
    match run(file, sql, partitions) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lanerank-datafusion: {e}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn run(file: &str, sql: &str, partitions: Option<usize>) -> Result<(), Error> {
    let mut ranker = Ranker::builder().threads(1);
    if let Some(model) = env::var_os("LANERANK_MODEL") {
        ranker = ranker.model(model);
    }
    // The engine's default of 8192 rows would take a second, during which it cannot react.
    let mut config = SessionConfig::new().with_batch_size(1024);
    if let Some(partitions) = partitions {
        config = config.with_target_partitions(partitions);
    }
    let context = SessionContext::new_with_config(config);
    lanerank_datafusion::register(&context, ranker.build()?);
    tokio::runtime::Runtime::new()?.block_on(async {
        let options = ParquetReadOptions::default();
        context.register_parquet("pairs", file, options).await?;
        context.sql(sql).await?.show().await?;
        Ok(())
    })
}
