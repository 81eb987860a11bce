//! Semantic search: vectors of lanerank's own [`Encoder`] in usearch's index (HNSW).

use lanerank::Encoder;
use lanerank_cli::failure::Failure;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

use crate::first_stage::{FirstStage, Found, engine_error, sort};
use crate::vectors::Vectors;

/// Candidates that a search of the graph visits; more is slower and more exact.
const EXPANSION: usize = 256;

/// An index in memory.
pub struct Semantic {
    encoder: Encoder,
    index: Index,
}

impl Semantic {
    /// Indexes the documents' vectors from the encoder.
    ///
    /// # Errors
    /// When usearch fails.
    pub fn index(encoder: Encoder, vectors: &Vectors) -> Result<Self, Failure> {
        let options = IndexOptions {
            dimensions: encoder.dimension(),
            metric: MetricKind::Cos,
            quantization: ScalarKind::F32,
            expansion_search: EXPANSION,
            ..IndexOptions::default()
        };
        let index = Index::new(&options).map_err(usearch_failure)?;
        index
            .reserve(vectors.iter().len())
            .map_err(usearch_failure)?;
        for (number, vector) in (0u64..).zip(vectors.iter()) {
            index.add(number, vector).map_err(usearch_failure)?;
        }
        Ok(Semantic { encoder, index })
    }

    /// Exact search: compares the query with every document.
    ///
    /// # Errors
    /// As [`FirstStage::retrieve`].
    pub fn retrieve_exactly(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure> {
        let depth = depth.min(self.index.size());
        let matches = self.index.exact_search(&self.encode(query)?, depth);
        Ok(found(matches.map_err(usearch_failure)?))
    }

    fn encode(&self, query: &str) -> Result<Vec<f32>, Failure> {
        Ok(self.encoder.encode(&[query])?.remove(0))
    }
}

fn usearch_failure(error: impl std::fmt::Display) -> Failure {
    engine_error("usearch", error)
}

fn found(matches: usearch::ffi::Matches) -> Vec<Found> {
    let pairs = matches.keys.into_iter().zip(matches.distances);
    let found = pairs.map(|(key, distance)| Found {
        document: key as usize,
        score: 1.0 - distance,
    });
    let mut found: Vec<Found> = found.collect();
    sort(&mut found);
    found
}

impl FirstStage for Semantic {
    /// By cosine. A query of white space finds nothing, because it has no meaning to compare.
    fn retrieve(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure> {
        let depth = depth.min(self.index.size());
        if query.trim().is_empty() || depth == 0 {
            return Ok(Vec::new());
        }
        let matches = self.index.search(&self.encode(query)?, depth);
        Ok(found(matches.map_err(usearch_failure)?))
    }
}
