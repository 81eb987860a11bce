//! Lexical search in SQLite: BM25 by FTS5, with `rerank_score` in the same statement.

use lanerank_cli::failure::Failure;
use rusqlite::{Connection, Error, Row, ToSql, params};

use crate::collection::Document;
use crate::first_stage::{FirstStage, Found, engine_error, sort};

/// Porter stems of lower-case words without accents.
const SCHEMA: &str =
    "CREATE VIRTUAL TABLE documents USING fts5(text, tokenize = 'porter unicode61')";

const RETRIEVE: &str = "
    SELECT rowid, -rank FROM documents WHERE documents MATCH ?1 ORDER BY rank LIMIT ?2";

/// The candidates are a subquery with a LIMIT, so that `rerank_score` runs for them only.
const RETRIEVE_AND_RERANK: &str = "
    SELECT rowid, rerank_score(?3, text) AS score
    FROM (SELECT rowid, text FROM documents WHERE documents MATCH ?1 ORDER BY rank LIMIT ?2)
    ORDER BY score DESC";

/// Maximum number of a query's words passed to FTS5, which refuses large expressions.
const WORDS: usize = 200;

/// A database in memory.
pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Indexes documents.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn index(documents: &[Document]) -> Result<Self, Failure> {
        build(documents).map_err(sqlite_failure)
    }

    /// Retrieves and reranks in one statement with the embedded model. The score is
    /// `rerank_score`'s.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn retrieve_and_rerank(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure> {
        let (words, limit) = (any_word_of(query), limit(depth));
        self.select(RETRIEVE_AND_RERANK, params![words, limit, query])
    }

    fn select(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Found>, Failure> {
        let select = || -> Result<Vec<Found>, Error> {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(parameters, found)?.collect()
        };
        let mut found = select().map_err(sqlite_failure)?;
        sort(&mut found);
        Ok(found)
    }
}

fn sqlite_failure(error: Error) -> Failure {
    engine_error("SQLite", error)
}

fn build(documents: &[Document]) -> Result<Sqlite, Error> {
    let mut connection = Connection::open_in_memory()?;
    lanerank_function::register(&connection)?;
    connection.execute(SCHEMA, [])?;
    let transaction = connection.transaction()?;
    {
        let mut insert =
            transaction.prepare("INSERT INTO documents(rowid, text) VALUES (?1, ?2)")?;
        for (number, document) in (0i64..).zip(documents) {
            insert.execute(params![number, document.text])?;
        }
    }
    transaction.commit()?;
    Ok(Sqlite { connection })
}

fn found(row: &Row<'_>) -> Result<Found, Error> {
    Ok(Found {
        document: row.get::<_, i64>(0)? as usize,
        score: row.get::<_, f64>(1)? as f32,
    })
}

fn limit(depth: usize) -> i64 {
    i64::try_from(depth).unwrap_or(i64::MAX)
}

/// An FTS5 expression that matches any of the words. Each word is in quotes, so that nothing in the
/// query is syntax. Without words it is an empty phrase, which matches nothing; an empty expression
/// would be an error.
fn any_word_of(query: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in query.split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() && !words.contains(&word) && words.len() < WORDS {
            words.push(word);
        }
    }
    if words.is_empty() {
        words.push("");
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(" OR ")
}

impl FirstStage for Sqlite {
    fn retrieve(&self, query: &str, depth: usize) -> Result<Vec<Found>, Failure> {
        self.select(RETRIEVE, params![any_word_of(query), limit(depth)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_quoted_words() {
        assert_eq!(
            any_word_of("it's NOT \"so\" (so) *"),
            r#""it" OR "s" OR "NOT" OR "so""#
        );
        assert_eq!(any_word_of(" -- \0 ** "), "\"\"");
        let long: Vec<String> = (0..5000).map(|i| format!("w{i}")).collect();
        assert_eq!(
            any_word_of(&long.join(" ")).matches(" OR ").count(),
            WORDS - 1
        );
    }
}
