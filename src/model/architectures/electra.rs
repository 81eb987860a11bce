//! ELECTRA: BERT's layers behind embeddings of another width, and GELU under the classifier.

use lanerank_kernels::Activation;

use super::Definition;
use super::bert::{self, Bert, row};
use crate::schema::{Kind, Place, Row, Size, WeightTable};
use crate::tokenizer::Positions;

pub(crate) static ELECTRA: Definition = Definition {
    table: WeightTable {
        embeddings: EMBEDDINGS,
        layer: bert::LAYER,
        head: HEAD,
    },
    positions: Positions::BERT,
    load: |loader, config| Ok(Box::new(Bert::load(loader, config, Activation::Gelu)?)),
};

const EMBEDDINGS: &[Row] = &[
    row(
        "embeddings.word",
        Kind::Table,
        &[Size::Vocab, Size::Embedding],
        &["embeddings.word_embeddings"],
        Place::Embeddings,
    ),
    row(
        "embeddings.position",
        Kind::Table,
        &[Size::Positions, Size::Embedding],
        &["embeddings.position_embeddings"],
        Place::Embeddings,
    ),
    row(
        "embeddings.token_type",
        Kind::SmallTable,
        &[Size::Segments, Size::Embedding],
        &["embeddings.token_type_embeddings"],
        Place::Embeddings,
    ),
    row(
        "embeddings.layer_norm",
        Kind::Norm,
        &[Size::Embedding],
        &["embeddings.LayerNorm"],
        Place::Embeddings,
    ),
    row(
        "embeddings.project",
        Kind::AfterNorm,
        &[Size::Hidden, Size::Embedding],
        &["embeddings_project"],
        Place::Projection,
    ),
];

pub(super) const HEAD: &[Row] = &[
    row(
        "pooler",
        Kind::Linear,
        &[Size::Hidden, Size::Hidden],
        &["classifier.dense"],
        Place::Classifier,
    ),
    row(
        "classifier",
        Kind::TableWithBias,
        &[Size::Labels, Size::Hidden],
        &["classifier.out_proj"],
        Place::Classifier,
    ),
];
