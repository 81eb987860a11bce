//! A build without the feature `embedded-model` says so when the model is needed.
#![cfg(not(feature = "embedded-model"))]

use lanerank::{Error, Model, Ranker};

#[test]
fn the_error_names_the_feature() {
    let errors = [
        Ranker::new().err(),
        Ranker::builder().threads(1).build().err(),
        Model::embedded().err(),
    ];
    for error in errors.map(Option::unwrap) {
        assert!(matches!(error, Error::Argument(_)), "{error}");
        assert!(error.to_string().contains("`embedded-model`"), "{error}");
    }
}
