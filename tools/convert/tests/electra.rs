//! ELECTRA cross-encoders, converted and scored, against transformers' logits
//! (`make_electra_goldens.py` made both).

mod common;

use common::check;
use lanerank::model::Architecture;

fn electra(embedding_size: usize) -> Architecture {
    Architecture::Electra { embedding_size }
}

#[test]
fn projected_embeddings_in_safetensors() {
    check("electra-small", electra(20), 1, 2e-5);
}

#[test]
fn two_labels_in_a_pytorch_file() {
    check("electra-base", electra(32), 2, 2e-5);
}
