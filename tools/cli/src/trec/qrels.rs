//! Relevance judgements.

use std::collections::HashMap;
use std::path::Path;

use crate::failure::Failure;
use crate::input::Input;

/// Scores of judged documents by query, with the queries in the order of the file.
#[derive(Debug, Default)]
pub struct Qrels {
    queries: Vec<String>,
    judgements: HashMap<String, HashMap<String, i32>>,
}

impl Qrels {
    /// Reads BEIR's `query document score` lines, with or without a heading, or TREC's
    /// `query 0 document score`.
    ///
    /// # Errors
    /// When the file cannot be read, a line has neither form, or a document has two scores.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        Self::parse(Input::open(Some(path))?)
    }

    fn parse(input: Input) -> Result<Self, Failure> {
        let mut lines = input.lines();
        let mut qrels = Qrels::default();
        let mut first = true;
        while let Some(line) = lines.next_line()? {
            let heading = std::mem::take(&mut first) && is_heading(line);
            if heading || line.trim().is_empty() {
                continue;
            }
            if let Err(reason) = parse_line(line).and_then(|parsed| qrels.add(parsed)) {
                return Err(Failure::input(&lines.place(), reason));
            }
        }
        Ok(qrels)
    }

    fn add(&mut self, (query, document, score): (&str, &str, i32)) -> Result<(), String> {
        if !self.judgements.contains_key(query) {
            self.queries.push(query.to_owned());
        }
        let judged = self.judgements.entry(query.to_owned()).or_default();
        match judged.insert(document.to_owned(), score) {
            Some(other) if other != score => Err(format!(
                "document {document:?} has two judgements for query {query:?}: {other} and {score}"
            )),
            _ => Ok(()),
        }
    }

    /// All judged queries, in the order of the file.
    pub fn queries(&self) -> &[String] {
        &self.queries
    }

    /// A query's judgements: document and score.
    pub fn judgements(&self, query: &str) -> Option<&HashMap<String, i32>> {
        self.judgements.get(query)
    }
}

/// Splits at tabs if that gives 3 or 4 columns (BEIR's ids may contain blanks), otherwise at any
/// blanks.
fn columns(line: &str) -> Vec<&str> {
    let tabbed: Vec<&str> = line.split('\t').map(str::trim).collect();
    match tabbed.len() {
        3 | 4 => tabbed,
        _ => line.split_whitespace().collect(),
    }
}

fn is_heading(line: &str) -> bool {
    let columns = columns(line);
    columns.len() == 3 && columns[2].parse::<i32>().is_err()
}

fn parse_line(line: &str) -> Result<(&str, &str, i32), String> {
    let (query, document, score) = match columns(line)[..] {
        [query, document, score] | [query, _, document, score] => (query, document, score),
        ref other => return Err(format!("{} columns where 3 or 4 belong", other.len())),
    };
    let score = score
        .parse()
        .map_err(|_| format!("the score {score:?} is not a whole number"))?;
    Ok((query, document, score))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::failure::Place;

    fn parse(text: &str) -> Result<Qrels, String> {
        let bytes = Cursor::new(text.as_bytes().to_vec());
        let input = Input::new(Place::named("qrels"), bytes).unwrap();
        Qrels::parse(input).map_err(|e| e.to_string())
    }

    #[test]
    fn both_layouts() {
        let beir =
            parse("query-id\tcorpus-id\tscore\nq2\td 1\t1\nq1\td2\t-1\nq2\td2\t3\n").unwrap();
        assert_eq!(beir.queries(), ["q2", "q1"]);
        assert_eq!(beir.judgements("q2").unwrap()["d 1"], 1);
        assert_eq!(beir.judgements("q1").unwrap()["d2"], -1);
        assert!(beir.judgements("q3").is_none());
        let trec = parse("q 0 d1 2\n\nq  Q0\td2 0\n").unwrap();
        assert_eq!(trec.judgements("q").unwrap().len(), 2);
        assert_eq!(parse("q\td\t1\n").unwrap().queries(), ["q"]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("q d 1\nq d\n").unwrap_err();
        assert_eq!(error, "qrels:2: 2 columns where 3 or 4 belong");
        let error = parse("q d 1\nq e 1.5\n").unwrap_err();
        assert_eq!(error, "qrels:2: the score \"1.5\" is not a whole number");
        let error = parse("q d 1\nq d 1\nq d 2\n").unwrap_err();
        assert!(error.starts_with("qrels:3: document \"d\""), "{error}");
    }
}
