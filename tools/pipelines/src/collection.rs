//! A test collection for a search engine: all documents, not only those of a run.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use lanerank_cli::failure::{Failure, Place};
use lanerank_cli::trec::Qrels;
use lanerank_cli::trec::collection::{QRELS_NAMES, for_each_document, part, read_queries};

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The id used by the judgements.
    pub id: String,
    /// Title and text: the string that is indexed, embedded and scored.
    pub text: String,
}

/// Documents and judged queries.
#[derive(Debug)]
pub struct Collection {
    /// The folder that it was read from.
    pub folder: PathBuf,
    /// All documents, in the order of the file. A document's number is its index here.
    pub documents: Vec<Document>,
    /// Judged queries: id and text.
    pub queries: Vec<(String, String)>,
    /// The judgements.
    pub qrels: Qrels,
}

impl Collection {
    /// Reads a folder in BEIR's layout: `corpus.jsonl`, `queries.jsonl` and `qrels.tsv`, each
    /// optionally gzipped. Keeps the first `limit` judged queries.
    ///
    /// # Errors
    /// When a file is missing, a line is wrong, there is no document or no judged query, or two
    /// documents have the same id.
    pub fn open(folder: &Path, limit: Option<usize>) -> Result<Self, Failure> {
        let mut documents = Vec::new();
        let corpus = for_each_document(folder, |text| {
            documents.push(Document {
                id: text.id.clone(),
                text: text.with_title(),
            });
        })?;
        let refuse = |path: &Path, reason: String| Err(Failure::input(&Place::file(path), reason));
        if documents.is_empty() {
            return refuse(&corpus, "not a single document".into());
        }
        let mut ids = HashSet::with_capacity(documents.len());
        if let Some(twice) = documents.iter().find(|d| !ids.insert(d.id.as_str())) {
            return refuse(&corpus, format!("document {:?} comes twice", twice.id));
        }
        let qrels_path = part(folder, None, &QRELS_NAMES)?;
        let qrels = Qrels::read(&qrels_path)?;
        let mut queries = read_queries(folder, &qrels)?;
        queries.truncate(limit.unwrap_or(usize::MAX));
        if queries.is_empty() {
            return refuse(&qrels_path, "not a single judged query".into());
        }
        Ok(Collection {
            folder: folder.to_owned(),
            documents,
            queries,
            qrels,
        })
    }

    /// The folder's name, for display.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// The text of a document, by its number.
    pub fn text(&self, document: usize) -> &str {
        &self.documents[document].text
    }
}
