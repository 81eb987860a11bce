//! `rerank_score(query, passage)` for Apache DataFusion: lanerank's score of each row, in SQL or on
//! data frames.
//!
//! ```
//! use datafusion::prelude::SessionContext;
//! use lanerank::Ranker;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let context = SessionContext::new();
//! lanerank_datafusion::register(&context, Ranker::builder().threads(1).build()?);
//! let best = context
//!     .sql(
//!         "SELECT passage, rerank_score('how to keep bread fresh', passage) AS score
//!          FROM (VALUES ('The lamp is lit at dusk.'), ('Bread dries in the cold.')) AS t (passage)
//!          ORDER BY score DESC NULLS LAST LIMIT 1",
//!     )
//!     .await?;
//! println!("{}", best.to_string().await?);
//! # Ok(())
//! # }
//! ```
//!
//! The score is a `Float32`; it is null if either text is null. Both arguments may be columns or
//! constants, of any string type; another type is an error at planning. Adjacent rows with the same
//! query are scored by one call, which tokenizes the query once, so keep tables sorted by query. A
//! score has the bits of [`Ranker::scores`], however the engine cuts the table into batches and
//! partitions.
//!
//! The engine computes partitions in parallel, so the ranker needs no threads of its own:
//! `Ranker::builder().threads(1)`.
//!
//! A serialized plan contains the function's name, not the model. Its executor must register the
//! function too, with the same model.

mod texts;
mod udf;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use lanerank::Ranker;

/// Registers `rerank_score(query, passage)` for a context's SQL and for the plans that it decodes.
pub fn register(context: &SessionContext, ranker: Ranker) {
    context.register_udf(rerank_score(ranker));
}

/// The function itself, for expressions and for the registries of other executors.
pub fn rerank_score(ranker: Ranker) -> ScalarUDF {
    ScalarUDF::new_from_impl(udf::RerankScore::new(ranker))
}
