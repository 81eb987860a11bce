//! The first stage of every pipeline: a search engine that finds candidates.

use lanerank_cli::failure::Failure;

/// A retrieved document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The document's number in the collection.
    pub document: usize,
    /// The search engine's score; higher is better.
    pub score: f32,
}

/// A search engine with an indexed collection.
pub trait FirstStage {
    /// The best `depth` documents, best first, or fewer if fewer match. Any text is a query; the
    /// engine's query syntax is not interpreted.
    ///
    /// # Errors
    /// When the engine fails.
    fn retrieve(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure>;
}

/// Turns a search engine's error into a failure of the command.
pub(crate) fn engine_error(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{name}: {error}"))
}

/// Sorts best first; equal scores in the order of the collection.
pub(crate) fn sort(found: &mut [Found]) {
    found.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.document.cmp(&b.document))
    });
}
