//! Computing without a transport.

use std::sync::Arc;
use std::time::Duration;

use lanerank::Ranker;
use lanerank_server::compute::{Computation, ComputeError, Computed, Operation, TaskError};
use lanerank_server::{App, OnDeadline, ServeOptions};

use crate::support::{Files, settings};
use lanerank_testing::models::passages;

fn block<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

fn rerank() -> Operation {
    Operation::Rerank("how to keep bread".to_owned())
}

#[test]
fn results_are_the_librarys() {
    let files = Files::new();
    let app = App::open(settings(files.options())).unwrap();
    let texts = passages(100, 4);
    let ranker = Ranker::builder().model(files.path("c.lane")).build();
    let hits = ranker.unwrap().rerank("how to keep bread", &texts).unwrap();
    let computation = Computation::new(&app, None, rerank(), Arc::new(texts)).unwrap();
    let computed = block(computation.run(&app)).unwrap();
    let ranking: Vec<_> = computed.ranking().iter().map(|ranked| ranked.hit).collect();
    assert_eq!(ranking, hits);
    assert_eq!(
        (computed.model(), computed.texts(), computed.missing()),
        ("c", 100, 0)
    );
    let texts = Arc::new(vec!["bread".to_owned()]);
    let computation = Computation::new(&app, Some("e"), Operation::Embed, texts).unwrap();
    let computed = block(computation.run(&app)).unwrap();
    let lengths: Vec<_> = computed.vectors().map(|(i, v)| (i, v.len())).collect();
    assert_eq!(lengths, [(0, 48)]);
}

#[test]
fn errors_are_typed() {
    let files = Files::new();
    let options = ServeOptions {
        max_documents: Some(20),
        max_tokens: Some(100),
        ..files.options()
    };
    let app = App::open(settings(options)).unwrap();
    let new = |model, operation, count| {
        let texts = vec!["bread in a box".to_owned(); count];
        Computation::new(&app, model, operation, Arc::new(texts))
    };
    let refused = |model, operation, count| new(model, operation, count).err().unwrap();
    assert_eq!(
        refused(Some("x"), rerank(), 1),
        ComputeError::UnknownModel {
            name: "x".to_owned(),
            known: vec!["c".to_owned(), "e".to_owned()],
        }
    );
    let too_many = ComputeError::TooManyTexts {
        count: 21,
        most: 20,
    };
    assert_eq!(refused(None, rerank(), 21), too_many);
    let model = "c".to_owned();
    assert_eq!(
        refused(None, Operation::Embed, 1),
        ComputeError::NotAnEncoder { model }
    );
    let explain = Operation::Explain("bread".to_owned());
    let model = "e".to_owned();
    assert_eq!(
        refused(Some("e"), explain, 1),
        ComputeError::NotACrossEncoder { model }
    );
    let run = |computation: Computation| -> Result<Computed, ComputeError> {
        block(computation.run(&app))
    };
    let too_long = run(new(None, rerank(), 20).unwrap()).err().unwrap();
    assert!(
        matches!(
            too_long,
            ComputeError::Task(TaskError::TooManyTokens { most: 100, .. })
        ),
        "{too_long}"
    );
    let mut late = new(None, rerank(), 2).unwrap();
    late.deadline = Some(Duration::ZERO);
    assert_eq!(run(late).err().unwrap(), ComputeError::Late);
    let mut partial = new(None, rerank(), 2).unwrap();
    partial.deadline = Some(Duration::ZERO);
    partial.on_deadline = Some(OnDeadline::Partial);
    assert_eq!(run(partial).unwrap().missing(), 2);
}
