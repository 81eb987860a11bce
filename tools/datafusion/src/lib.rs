//! `rerank_score(query, passage)` for Apache DataFusion: lanerank's score of each row, in SQL or on data
//! frames.
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
//!          FROM (VALUES ('The lamp is lit at dusk.'), ('Bread dries out in the cold.')) AS t (passage)
//!          ORDER BY score DESC NULLS LAST LIMIT 1",
//!     )
//!     .await?;
//! println!("{}", best.to_string().await?);
//! # Ok(())
//! # }
//! ```
//!
//! The score is a `Float32`, and null where a text is. Both arguments may be columns or constants, of any
//! string type; another type is an error when the query is planned. Neighbouring rows with the same query
//! are scored by one call, which reads the query once, so tables are best kept sorted by query. A score has
//! the bits of [`Ranker::scores`], however the engine cuts the table into batches and partitions.
//!
//! The engine computes partitions at the same time, so the ranker needs no threads of its own:
//! `Ranker::builder().threads(1)`.
//!
//! A plan that is sent elsewhere holds the function's name, and not the model: whoever executes it
//! registers the function as well, with the same model.

mod texts;
mod udf;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use lanerank::Ranker;

/// Makes `rerank_score(query, passage)` known to a context's SQL, and to the plans that it decodes.
pub fn register(context: &SessionContext, ranker: Ranker) {
    context.register_udf(rerank_score(ranker));
}

/// The function itself, for expressions, and for the registries of other executors.
pub fn rerank_score(ranker: Ranker) -> ScalarUDF {
    ScalarUDF::new_from_impl(udf::RerankScore::new(ranker))
}
