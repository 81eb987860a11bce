//! Runs: the rankings of a search engine, in TREC's format.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use crate::failure::Failure;
use crate::input::Input;

/// A ranked document.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The document's id.
    pub document: String,
    /// Its score, in the precision that `trec_eval` sorts by.
    pub score: f32,
}

/// Sorts candidates as `trec_eval` does, ignoring their ranks: score descending, then document id
/// descending.
pub fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then_with(|| b.document.cmp(&a.document))
    });
}

/// Candidates by query, best first.
#[derive(Debug, Default)]
pub struct Run {
    candidates: HashMap<String, Vec<Candidate>>,
}

impl Run {
    /// Reads `query Q0 document rank score tag` lines.
    ///
    /// # Errors
    /// When the file cannot be read, a line has other columns, a score is not a finite number or a
    /// query has a document twice.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(Input::open(Some(path))?)
    }

    fn parse(input: Input) -> Result<Self, Failure> {
        let mut lines = input.lines();
        let mut run = Run::default();
        let mut seen = HashSet::new();
        while let Some(line) = lines.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let parsed = parse_line(line).and_then(|(query, candidate)| {
                if seen.insert((query.to_owned(), candidate.document.clone())) {
                    Ok((query.to_owned(), candidate))
                } else {
                    Err(format!(
                        "document {:?} comes twice for query {query:?}",
                        candidate.document
                    ))
                }
            });
            let (query, candidate) = parsed.map_err(|e| Failure::input(&lines.place(), e))?;
            run.candidates.entry(query).or_default().push(candidate);
        }
        run.candidates.values_mut().for_each(|list| sort(list));
        Ok(run)
    }

    /// The first `depth` candidates of a query; none for an unknown query.
    pub fn top(&self, query: &str, depth: usize) -> &[Candidate] {
        let all = self.candidates.get(query).map_or(&[][..], Vec::as_slice);
        &all[..all.len().min(depth)]
    }
}

fn parse_line(line: &str) -> Result<(&str, Candidate), String> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [query, _, document, _, score, _] = columns[..] else {
        return Err(format!("{} columns where 6 belong", columns.len()));
    };
    // Like `trec_eval`: read as a double, stored as a float.
    let value = score.parse::<f64>().map(|value| value as f32);
    match value {
        Ok(value) if value.is_finite() => Ok((
            query,
            Candidate {
                document: document.to_owned(),
                // Adding zero makes -0 and 0 a tie.
                score: value + 0.0,
            },
        )),
        _ => Err(format!("the score {score:?} is not a finite number")),
    }
}

/// Appends a query's candidates, best first, in TREC's format. Scores have enough digits to read
/// the same float back.
pub fn append_trec(out: &mut String, query: &str, candidates: &[Candidate], tag: &str) {
    for (rank, candidate) in (1..).zip(candidates) {
        let Candidate { document, score } = candidate;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{query} Q0 {document} {rank} {score} {tag}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::failure::Place;

    fn parse(text: &str) -> Result<Run, String> {
        let bytes = Cursor::new(text.as_bytes().to_vec());
        let input = Input::new(Place::named("run"), bytes).unwrap();
        Run::parse(input).map_err(|e| e.to_string())
    }

    fn documents(run: &Run, query: &str, depth: usize) -> Vec<String> {
        let top = run.top(query, depth).iter();
        top.map(|c| c.document.clone()).collect()
    }

    #[test]
    fn order_is_by_score_then_by_document_both_descending() {
        let text = "q Q0 d1 1 1.0 t\nq Q0 d2 2 3 t\nq Q0 d10 3 1e0 t\nr Q0 d1 1 0 t\n\
                    q Q0 d3 9 1.00000001 t\n";
        let run = parse(text).unwrap();
        assert_eq!(documents(&run, "q", 9), ["d2", "d3", "d10", "d1"]);
        assert_eq!(documents(&run, "q", 2), ["d2", "d3"]);
        assert_eq!(documents(&run, "r", 9), ["d1"]);
        assert!(documents(&run, "s", 9).is_empty());
        let zeros = parse("q Q0 a 1 0 t\nq Q0 b 2 -0 t\n").unwrap();
        assert_eq!(documents(&zeros, "q", 9), ["b", "a"]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("q Q0 d 1 1.0\n").unwrap_err();
        assert_eq!(error, "run:1: 5 columns where 6 belong");
        for score in ["x", "nan", "inf", "1e999", "1e39"] {
            let error = parse(&format!("q Q0 d 1 {score} t\n")).unwrap_err();
            assert!(error.ends_with("is not a finite number"), "{error}");
        }
        let error = parse("q Q0 d 1 1 t\nr Q0 d 1 1 t\nq Q0 d 2 0 t\n").unwrap_err();
        assert_eq!(error, "run:3: document \"d\" comes twice for query \"q\"");
    }

    #[test]
    fn what_is_written_reads_back() {
        let run = parse("q Q0 a 1 0.1 t\nq Q0 b 2 -3.4028235e38 t\n").unwrap();
        let mut text = String::new();
        append_trec(&mut text, "q", run.top("q", 9), "tag");
        let again = parse(&text).unwrap();
        assert_eq!(again.top("q", 9), run.top("q", 9));
        assert!(text.starts_with("q Q0 a 1 0.1 tag\n"));
    }
}
