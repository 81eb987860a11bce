//! The SQL function `rerank_score(query, text [, model_path])` for SQLite.
//!
//! The score is that of [`Ranker::scores`], bit for bit, as a REAL.
//!
//! | argument | result |
//! |---|---|
//! | TEXT | used as it is |
//! | INTEGER | used as its digits |
//! | NULL | NULL |
//! | REAL, BLOB | an error that says to CAST |
//! | TEXT that is not UTF-8 | an error |
//!
//! A model is opened once per process, whatever the number of connections and rows, and stays open:
//! the embedded one at the first call with two arguments, a file's at the first call that names it.
//! With a path the function is refused in views, triggers and other parts of a schema
//! (`SQLITE_DIRECTONLY`), because an untrusted database must not choose which files are opened.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use lanerank::Ranker;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

/// The function's name in SQL.
pub const NAME: &str = "rerank_score";

/// Names of the arguments, for messages.
const ARGUMENTS: [&str; 3] = ["query", "text", "model_path"];

/// Every ranker of this process by its model's path; `None` for the embedded model.
static RANKERS: LazyLock<Mutex<HashMap<Option<String>, Ranker>>> = LazyLock::new(Mutex::default);

/// Adds the function to a connection.
///
/// # Errors
/// When SQLite refuses, such as while a statement that uses the function is running.
pub fn register(connection: &Connection) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let reads_files = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function(NAME, 2, pure, score)?;
    connection.create_scalar_function(NAME, 3, reads_files, score)
}

fn score(context: &Context<'_>) -> Result<Option<f64>> {
    let mut texts = Vec::with_capacity(ARGUMENTS.len());
    for (index, name) in ARGUMENTS.iter().take(context.len()).enumerate() {
        texts.push(text(context.get_raw(index), name)?);
    }
    let (query, passage, model) = match &texts[..] {
        [Some(query), Some(passage)] => (query, passage, None),
        [Some(query), Some(passage), Some(model)] => (query, passage, Some(model.as_ref())),
        _ => return Ok(None),
    };
    let scores = ranker(model).and_then(|ranker| ranker.scores(query, &[passage]));
    let scores = scores.map_err(|e| match model {
        Some(path) => failure(format!("{path}: {e}")),
        None => failure(e.to_string()),
    })?;
    Ok(scores.first().map(|&score| f64::from(score)))
}

/// An argument as text; `None` for NULL.
fn text<'a>(value: ValueRef<'a>, name: &str) -> Result<Option<Cow<'a, str>>> {
    let cast = |kind| failure(format!("{name} is a {kind}; write CAST({name} AS TEXT)"));
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number.to_string().into())),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.into())),
            Err(_) => Err(failure(format!("{name} is not UTF-8"))),
        },
        ValueRef::Real(_) => Err(cast("REAL")),
        ValueRef::Blob(_) => Err(cast("BLOB")),
    }
}

/// The ranker of a model file, or of the embedded model. The first call opens it.
fn ranker(model: Option<&str>) -> std::result::Result<Ranker, lanerank::Error> {
    let mut rankers = RANKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = model.map(str::to_owned);
    if let Some(ranker) = rankers.get(&key) {
        return Ok(ranker.clone());
    }
    // A row is one passage, so the calling thread is enough.
    let mut builder = Ranker::builder().threads(1);
    if let Some(path) = model {
        builder = builder.model(path);
    }
    let ranker = builder.build()?;
    rankers.insert(key, ranker.clone());
    Ok(ranker)
}

fn failure(reason: String) -> Error {
    Error::UserFunctionError(format!("{NAME}: {reason}").into())
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;

    use super::*;

    const QUERY: &str = "how do I keep bread fresh";
    const TEXT: &str = "The refrigerator dries bread out; a paper bag in a box keeps it longest.";

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection
    }

    /// The value of an expression, or the error's message.
    fn evaluate(connection: &Connection, expression: &str) -> std::result::Result<Value, String> {
        let sql = format!("SELECT {expression}");
        let value = connection.query_row(&sql, [], |row| row.get(0));
        value.map_err(|e| e.to_string())
    }

    fn expected(query: &str, text: &str) -> Value {
        Value::Real(Ranker::new().unwrap().scores(query, &[text]).unwrap()[0].into())
    }

    #[test]
    fn the_score_is_the_rankers() {
        let score = evaluate(&connection(), &format!("rerank_score('{QUERY}', '{TEXT}')"));
        assert_eq!(score.unwrap(), expected(QUERY, TEXT));
        let empty = evaluate(&connection(), "rerank_score('', '')");
        assert_eq!(empty.unwrap(), expected("", ""));
    }

    #[test]
    fn null_gives_null_and_an_integer_is_its_digits() {
        let connection = connection();
        for arguments in ["NULL, 'a'", "'a', NULL", "NULL, NULL", "'a', 'b', NULL"] {
            let score = evaluate(&connection, &format!("rerank_score({arguments})"));
            assert_eq!(score.unwrap(), Value::Null, "{arguments}");
        }
        let score = evaluate(&connection, "rerank_score('year', -1847)");
        assert_eq!(score.unwrap(), expected("year", "-1847"));
    }

    #[test]
    fn wrong_arguments_are_errors_that_name_them() {
        let connection = connection();
        for (arguments, words) in [
            (
                "1.5, 'a'",
                "rerank_score: query is a REAL; write CAST(query AS TEXT)",
            ),
            (
                "'a', x'00'",
                "rerank_score: text is a BLOB; write CAST(text AS TEXT)",
            ),
            (
                "'a', CAST(x'ff' AS TEXT)",
                "rerank_score: text is not UTF-8",
            ),
            ("'a', 'b', '/no/such.lane'", "/no/such.lane: No such file"),
            ("'a'", "wrong number of arguments"),
            ("'a', 'b', 'c', 'd'", "wrong number of arguments"),
        ] {
            let error = evaluate(&connection, &format!("rerank_score({arguments})")).unwrap_err();
            assert!(error.contains(words), "{arguments}: {error}");
        }
        // An error takes precedence over NULL.
        assert!(evaluate(&connection, "rerank_score(NULL, 1.5)").is_err());
    }

    #[test]
    fn a_model_file_is_opened_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.lane");
        let model = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../src/assets/default.lane"
        );
        std::fs::copy(model, &path).unwrap();
        let call = format!("rerank_score('{QUERY}', '{TEXT}', '{}')", path.display());
        let first = evaluate(&connection(), &call).unwrap();
        assert_eq!(first, expected(QUERY, TEXT));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(evaluate(&connection(), &call).unwrap(), first);
    }

    #[test]
    fn a_schema_may_use_the_embedded_model_but_name_no_file() {
        let connection = connection();
        let view = |name: &str, call: &str| {
            let sql = format!("CREATE VIEW {name} AS SELECT {call} AS score");
            connection.execute(&sql, []).unwrap();
            evaluate(&connection, &format!("score FROM {name}"))
        };
        assert_eq!(
            view("embedded", "rerank_score('a', 'b')"),
            Ok(expected("a", "b"))
        );
        let error = view("file", "rerank_score('a', 'b', 'c')").unwrap_err();
        assert!(error.contains("unsafe use of rerank_score()"), "{error}");
    }

    #[test]
    fn threads_share_one_ranker() {
        let call = format!("rerank_score('{QUERY}', '{TEXT}')");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let score = evaluate(&connection(), &call).unwrap();
                    assert_eq!(score, expected(QUERY, TEXT));
                });
            }
        });
    }
}
