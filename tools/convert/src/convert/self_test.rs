//! The self-test that the converter stores in a model file.

use lanerank::format::self_test::{self, SelfTestRow};
use lanerank::format::storage::{AlignedBytes, Blob};
use lanerank::format::write::Draft;
use lanerank::kernels::{Isa, Kernels};
use lanerank::{Model, Verify};

use crate::error::Error;

/// Texts of the rows.
pub(crate) const TEXTS: [(&str, &str); 3] = [
    (
        "how do I keep bread fresh",
        "Bread keeps longest in a paper bag inside a closed box; the refrigerator dries it.",
    ),
    (
        "how do I keep bread fresh",
        "The lighthouse was built in 1847, and its lamp could be seen twenty miles out.",
    ),
    (
        "¿Dónde está la estación?",
        "車站在橋的北邊, Ελλάδα — naïve café.",
    ),
];

/// The section before the logits are computed: all are 0.
pub(super) fn empty() -> Vec<u8> {
    self_test::to_bytes(&rows([0.0; TEXTS.len()]))
}

fn rows(logits: impl IntoIterator<Item = f32>) -> Vec<SelfTestRow> {
    let rows = TEXTS.iter().zip(logits);
    let row = |(&(query, passage), logit): (&(&str, &str), f32)| SelfTestRow {
        query: query.into(),
        passage: passage.into(),
        logit,
    };
    rows.map(row).collect()
}

/// Computes the logits on the reference tier and stores them.
pub(super) fn fill(file: AlignedBytes) -> Result<AlignedBytes, Error> {
    let file = Blob::from_aligned(file);
    let logits = {
        let model = Model::from_blob(file.clone(), Verify::Structure)?;
        model.self_test_logits(Kernels::for_isa(Isa::Reference)?)?
    };
    let file = file
        .into_aligned()
        .ok_or_else(|| Error::Argument("the model under conversion is in use".into()))?;
    let mut draft = Draft::reopen(file)?;
    draft.fill("self_test", &self_test::to_bytes(&rows(logits)))?;
    Ok(draft.seal())
}
