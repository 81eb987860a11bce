//! A request stops when its caller says so, and the ranker works on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lanerank::model::Pooling;
use lanerank::{Encoder, Error, Ranker, RerankOptions};
use lanerank_convert::convert::WeightDtype;
use lanerank_testing::models::{classifier, encoder, model, passages};

const QUERY: &str = "how do i keep the bread fresh ?";

/// Enough passages to compute for much longer than the time between two questions.
fn many() -> Vec<String> {
    let some = passages(100, 5);
    (0..1000).flat_map(|_| some.clone()).collect()
}

fn thread_counts() -> &'static [usize] {
    if cfg!(feature = "rayon") {
        &[1, 3]
    } else {
        &[1]
    }
}

/// A question that is answered with yes while the switch is on, by the asking thread only.
fn question(switch: &Arc<AtomicBool>) -> impl Fn() -> bool + Send + Sync + 'static {
    let (switch, asker) = (Arc::clone(switch), thread::current().id());
    move || {
        assert_eq!(thread::current().id(), asker, "another thread was asked");
        switch.load(Ordering::Relaxed)
    }
}

#[test]
fn an_interrupted_request_ends_and_the_next_one_is_right() {
    let (few, many) = (passages(20, 5), many());
    for &threads in thread_counts() {
        let switch = Arc::new(AtomicBool::new(true));
        let model = model(&classifier(1), WeightDtype::Int8);
        let expected = Ranker::builder().opened(model.clone()).threads(1);
        let expected = expected.build().unwrap().scores(QUERY, &few).unwrap();
        let ranker = Ranker::builder().opened(model).threads(threads);
        let ranker = ranker.interrupt(question(&switch)).build().unwrap();
        for _ in 0..3 {
            switch.store(true, Ordering::Relaxed);
            let error = ranker.scores(QUERY, &many).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "{error}");
            let ranked = ranker.rerank_with(QUERY, &many, &RerankOptions::default());
            assert!(matches!(ranked, Err(Error::Interrupted)));
            switch.store(false, Ordering::Relaxed);
            assert_eq!(ranker.scores(QUERY, &few).unwrap(), expected);
        }
    }
}

#[test]
fn a_question_that_comes_later_is_heard() {
    let many = many();
    let switch = Arc::new(AtomicBool::new(false));
    let ranker = Ranker::builder().opened(model(&classifier(1), WeightDtype::Int8));
    let ranker = ranker.interrupt(question(&switch)).build().unwrap();
    let set = {
        let switch = Arc::clone(&switch);
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            switch.store(true, Ordering::Relaxed);
        })
    };
    let mut outcome = Ok(Vec::new());
    while outcome.is_ok() {
        outcome = ranker.scores(QUERY, &many);
    }
    assert!(matches!(outcome, Err(Error::Interrupted)));
    set.join().unwrap();
}

#[test]
fn embedding_can_be_interrupted() {
    let switch = Arc::new(AtomicBool::new(true));
    let encoder = Encoder::builder().opened(model(&encoder(Pooling::Mean), WeightDtype::Int8));
    let encoder = encoder.interrupt(question(&switch)).build().unwrap();
    let error = encoder.encode(&many()).unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    switch.store(false, Ordering::Relaxed);
    assert_eq!(encoder.encode(&["bread"]).unwrap().len(), 1);
}
