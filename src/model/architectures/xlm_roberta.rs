//! XLM-RoBERTa: BERT with other positions, and ELECTRA's names for the classifier. What is around
//! its texts is its tokenizer's.

use lanerank_kernels::Activation;

use super::Definition;
use super::bert::{self, Bert};
use super::electra;
use crate::schema::WeightTable;
use crate::tokenizer::Positions;

pub(crate) static XLM_ROBERTA: Definition = Definition {
    table: WeightTable {
        embeddings: bert::EMBEDDINGS,
        layer: bert::LAYER,
        head: electra::HEAD,
    },
    positions: Positions::ROBERTA,
    load: |loader, config| Ok(Box::new(Bert::load(loader, config, Activation::Tanh)?)),
};
