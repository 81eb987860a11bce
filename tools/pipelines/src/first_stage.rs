//! What every pipeline begins with: a search engine that finds candidates.

use lanerank_cli::failure::Failure;

/// A document that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The document's number in the collection.
    pub document: usize,
    /// How well it fits by the search engine's measure: more is better.
    pub score: f32,
}

/// A search engine with a collection in it.
pub trait FirstStage {
    /// The best `depth` documents, best first; fewer where fewer fit at all. Any text is a query:
    /// the engine's own query syntax has no meaning in it.
    ///
    /// # Errors
    /// When the engine fails.
    fn retrieve(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure>;
}

/// A search engine's own error, as a failure of the command.
pub(crate) fn engine_error(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{name}: {error}"))
}

/// Best first; documents with the same score in the order of the collection.
pub(crate) fn sort(found: &mut [Found]) {
    found.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.document.cmp(&b.document))
    });
}
