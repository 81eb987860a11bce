//! Test collections in the layout of BEIR (JSON lines) or of TREC's passage tracks (tab-separated
//! id and text).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Qrels, Run};
use crate::failure::{Failure, Place};
use crate::input::{Input, find_in};

/// Possible file names of a folder's judgements.
pub const QRELS_NAMES: [&str; 4] = ["qrels.tsv", "qrels/test.tsv", "qrels.trec", "qrels.txt"];

/// Paths of a collection's parts.
#[derive(Debug, Default)]
pub struct Paths {
    /// The collection's folder.
    pub folder: PathBuf,
    /// A run to use instead of the folder's.
    pub run: Option<PathBuf>,
    /// Judgements to use instead of the folder's.
    pub qrels: Option<PathBuf>,
}

/// Judged queries, the first stage's candidates and their texts.
#[derive(Debug)]
pub struct Collection {
    /// Judged queries with their texts, in the order of the judgements.
    pub queries: Vec<(String, String)>,
    /// The judgements.
    pub qrels: Qrels,
    /// The first stage.
    pub run: Run,
    documents: HashMap<String, String>,
}

/// A query or a document.
#[derive(Debug, Deserialize)]
pub struct Text {
    /// Its id in judgements and runs.
    #[serde(rename = "_id")]
    pub id: String,
    /// May be empty.
    #[serde(default)]
    pub title: String,
    /// The text below the title.
    pub text: String,
}

impl Text {
    /// The text to score: title and text.
    pub fn with_title(self) -> String {
        if self.title.is_empty() {
            self.text
        } else {
            format!("{} {}", self.title, self.text)
        }
    }
}

impl Collection {
    /// Reads judgements, run and queries; from the corpus, only the first `depth` candidates of the
    /// first `limit` queries.
    ///
    /// # Errors
    /// When a part is missing or wrong, a judged query has no text or a candidate is not in the
    /// corpus.
    pub fn open(paths: &Paths, depth: usize, limit: Option<usize>) -> Result<Self, Failure> {
        let folder = &paths.folder;
        let qrels_path = part(folder, paths.qrels.as_deref(), &QRELS_NAMES)?;
        let run_path = part(folder, paths.run.as_deref(), &["run.bm25.trec", "run.trec"])?;
        let qrels = Qrels::read(&qrels_path)?;
        let run = Run::read(&run_path)?;
        let mut queries = read_queries(folder, &qrels)?;
        queries.truncate(limit.unwrap_or(usize::MAX));
        if queries.is_empty() {
            let reason = "no judged query";
            return Err(Failure::input(&Place::file(&qrels_path), reason));
        }
        let documents = read_documents(folder, &candidates(&queries, &run, depth))?;
        Ok(Collection {
            queries,
            qrels,
            run,
            documents,
        })
    }

    /// A candidate's title and text.
    pub fn text(&self, document: &str) -> &str {
        self.documents.get(document).map_or("", String::as_str)
    }
}

fn candidates<'a>(queries: &[(String, String)], run: &'a Run, depth: usize) -> HashSet<&'a str> {
    let top = queries.iter().flat_map(|(id, _)| run.top(id, depth));
    top.map(|candidate| candidate.document.as_str()).collect()
}

/// The given path, or the first of `names` in the folder, gzipped or not.
///
/// # Errors
/// When the folder has none.
pub fn part(folder: &Path, given: Option<&Path>, names: &[&str]) -> Result<PathBuf, Failure> {
    let found = match given {
        Some(path) => Some(path.to_owned()),
        None => find_in(folder, names),
    };
    found.ok_or_else(|| {
        let reason = format!("no {} in this folder", names.join(" or "));
        Failure::input(&Place::file(folder), reason)
    })
}

/// Ids and texts of the judged queries, in the order of the judgements.
///
/// # Errors
/// When the folder has no queries, a line is wrong or a judged query has no text.
pub fn read_queries(folder: &Path, qrels: &Qrels) -> Result<Vec<(String, String)>, Failure> {
    let path = part(folder, None, &["queries.jsonl", "queries.tsv"])?;
    let mut texts = HashMap::new();
    for_each_text(&path, |query| {
        if qrels.judgements(&query.id).is_some() {
            texts.insert(query.id, query.text);
        }
    })?;
    let with_text = |id: &String| match texts.remove(id) {
        Some(text) => Ok((id.clone(), text)),
        None => Err(Failure::input(
            &Place::file(&path),
            format!("no text for the judged query {id:?}"),
        )),
    };
    qrels.queries().iter().map(with_text).collect()
}

fn read_documents(
    folder: &Path,
    wanted: &HashSet<&str>,
) -> Result<HashMap<String, String>, Failure> {
    let mut documents = HashMap::with_capacity(wanted.len());
    let path = for_each_document(folder, |document| {
        if wanted.contains(document.id.as_str()) {
            documents.insert(document.id.clone(), document.with_title());
        }
    })?;
    let missing = wanted.iter().filter(|id| !documents.contains_key(**id));
    match missing.min() {
        Some(id) => Err(Failure::input(
            &Place::file(&path),
            format!("the run's document {id:?} is not in the corpus"),
        )),
        None => Ok(documents),
    }
}

/// Calls `each` on every document of a folder's corpus, in the order of the file; returns its path.
///
/// # Errors
/// When the folder has no corpus, or a line is wrong.
pub fn for_each_document(folder: &Path, each: impl FnMut(Text)) -> Result<PathBuf, Failure> {
    let names = ["corpus.jsonl", "corpus.tsv", "collection.tsv"];
    let path = part(folder, None, &names)?;
    for_each_text(&path, each)?;
    Ok(path)
}

fn for_each_text(path: &Path, mut each: impl FnMut(Text)) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_json = name.contains(".jsonl");
    let mut lines = Input::open(Some(path))?.lines();
    while let Some(line) = lines.next_line()? {
        if line.trim().is_empty() {
            continue;
        }
        let text = if is_json {
            serde_json::from_str(line).map_err(|e| Failure::json(&lines.place(), &e))?
        } else {
            let text = tab_separated(line);
            text.ok_or_else(|| Failure::input(&lines.place(), "not an id, a tab and a text"))?
        };
        each(text);
    }
    Ok(())
}

fn tab_separated(line: &str) -> Option<Text> {
    let (id, text) = line.trim_end_matches(['\r', '\n']).split_once('\t')?;
    (!id.is_empty()).then(|| Text {
        id: id.to_owned(),
        title: String::new(),
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn open(
        files: &[(&str, &str)],
        depth: usize,
        limit: Option<usize>,
    ) -> Result<Collection, String> {
        let folder = folder(files);
        let paths = Paths {
            folder: folder.path().to_owned(),
            ..Paths::default()
        };
        let prefix = format!("{}/", folder.path().display());
        Collection::open(&paths, depth, limit).map_err(|e| e.to_string().replace(&prefix, ""))
    }

    const CORPUS: (&str, &str) = (
        "corpus.jsonl",
        "{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\"}\n{\"_id\":\"b\",\"text\":\"y\"}\n",
    );
    const QUERIES: (&str, &str) = (
        "queries.jsonl",
        "{\"_id\":\"1\",\"text\":\"one\"}\n{\"_id\":\"2\",\"text\":\"two\"}\n\
         {\"_id\":\"3\",\"text\":\"three\"}\n",
    );
    const QRELS: (&str, &str) = (
        "qrels/test.tsv",
        "query-id\tcorpus-id\tscore\n2\ta\t1\n1\tb\t1\n",
    );
    const RUN: (&str, &str) = ("run.bm25.trec", "1 Q0 a 1 2 t\n1 Q0 b 2 1 t\n");

    #[test]
    fn the_judged_queries_and_their_candidates() {
        let collection = open(&[CORPUS, QUERIES, QRELS, RUN], 100, None).unwrap();
        let ids: Vec<_> = collection
            .queries
            .iter()
            .map(|(id, text)| (&id[..], &text[..]))
            .collect();
        assert_eq!(ids, [("2", "two"), ("1", "one")]);
        assert_eq!((collection.text("a"), collection.text("b")), ("T x", "y"));
        assert!(collection.run.top("2", 100).is_empty());
        let shallow = open(&[CORPUS, QUERIES, QRELS, RUN], 1, None).unwrap();
        assert_eq!((shallow.text("a"), shallow.text("b")), ("T x", ""));
        let limited = open(&[CORPUS, QUERIES, QRELS, RUN], 1, Some(1)).unwrap();
        assert_eq!(limited.queries.len(), 1);
    }

    #[test]
    fn the_layout_of_trec_s_passage_tracks() {
        let corpus = ("collection.tsv", "a\tx\ty\nb\tz\r\n");
        let queries = ("queries.tsv", "1\tone\n2\ttwo\n");
        let qrels = ("qrels.trec", "2 0 a 1\n1 0 b 1\n");
        let run = ("run.trec", RUN.1);
        let collection = open(&[corpus, queries, qrels, run], 9, None).unwrap();
        assert_eq!(collection.queries[0], ("2".to_owned(), "two".to_owned()));
        assert_eq!((collection.text("a"), collection.text("b")), ("x\ty", "z"));
        let broken = ("collection.tsv", "a\tx\nb z\n");
        let error = open(&[broken, queries, qrels, run], 9, None).unwrap_err();
        assert_eq!(error, "collection.tsv:2: not an id, a tab and a text");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = open(&[CORPUS, QUERIES, QRELS], 9, None).unwrap_err();
        assert!(
            error.ends_with("no run.bm25.trec or run.trec in this folder"),
            "{error}"
        );
        let run = ("run.bm25.trec", "1 Q0 c 1 2 t\n");
        let error = open(&[CORPUS, QUERIES, QRELS, run], 9, None).unwrap_err();
        assert_eq!(
            error,
            "corpus.jsonl: the run's document \"c\" is not in the corpus"
        );
        let qrels = ("qrels.tsv", "4\ta\t1\n");
        let error = open(&[CORPUS, QUERIES, qrels, RUN], 9, None).unwrap_err();
        assert_eq!(error, "queries.jsonl: no text for the judged query \"4\"");
        let corpus = (
            "corpus.jsonl",
            "{\"_id\":\"a\",\"text\":\"x\"}\n{\"_id\":1}\n",
        );
        let error = open(&[corpus, QUERIES, QRELS, RUN], 9, None).unwrap_err();
        assert!(error.starts_with("corpus.jsonl:2: "), "{error}");
        let empty = ("qrels.tsv", "query-id\tcorpus-id\tscore\n");
        let error = open(&[CORPUS, QUERIES, empty, RUN], 9, None).unwrap_err();
        assert_eq!(error, "qrels.tsv: not a single judged query");
    }
}
