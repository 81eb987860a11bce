//! BERT: its weights, and the order of its layers.
//!
//! Three kinds of work that a cross-encoder does not need are skipped on every tier:
//!
//! - padding: sequences lie back to back;
//! - in the last layer, everything but the first token's row, and all keys and values;
//! - the query's tokens, except once per request: their embeddings and first-layer projections are
//!   the same in every pair.

use std::ops::ControlFlow;

use lanerank_kernels::{Activation, Kernels};

use super::{Definition, Network, Watch};
use crate::batch::Batch;
use crate::config::{Head, Matrix, ModelConfig};
use crate::error::Error;
use crate::layers::attention::{Attention, ClsAttention, Prefix};
use crate::layers::embeddings::Embeddings;
use crate::layers::feed_forward::FeedForward;
use crate::layers::head::{Classifier, mean_pool, normalize};
use crate::layers::loader::Loader;
use crate::schema::{Kind, Place, Row, Size, WeightTable};
use crate::scratch::{LayerScratch, Scratch};
use crate::tokenizer::Positions;

pub(crate) static BERT: Definition = Definition {
    table: WeightTable {
        embeddings: EMBEDDINGS,
        layer: LAYER,
        head: HEAD,
    },
    positions: Positions::BERT,
    load: |loader, config| Ok(Box::new(Bert::load(loader, config, Activation::Tanh)?)),
};

/// A weight of one tensor.
pub(super) const fn row(
    name: &'static str,
    kind: Kind,
    shape: &'static [Size],
    tensors: &'static [&'static str],
    place: Place,
) -> Row {
    Row {
        name,
        kind,
        shape,
        tensors,
        place,
        activations: None,
        note: "",
    }
}

pub(super) const EMBEDDINGS: &[Row] = &[
    row(
        "embeddings.word",
        Kind::Table,
        &[Size::Vocab, Size::Hidden],
        &["embeddings.word_embeddings"],
        Place::Embeddings,
    ),
    row(
        "embeddings.position",
        Kind::Table,
        &[Size::Positions, Size::Hidden],
        &["embeddings.position_embeddings"],
        Place::Embeddings,
    ),
    row(
        "embeddings.token_type",
        Kind::SmallTable,
        &[Size::Segments, Size::Hidden],
        &["embeddings.token_type_embeddings"],
        Place::Embeddings,
    ),
    row(
        "embeddings.layer_norm",
        Kind::Norm,
        &[Size::Hidden],
        &["embeddings.LayerNorm"],
        Place::Embeddings,
    ),
];

pub(super) const LAYER: &[Row] = &[
    Row {
        activations: Some(Matrix::AttentionQkv),
        note: "query, key, value one under the other",
        ..row(
            "layers.N.attention.qkv",
            Kind::AfterNorm,
            &[Size::Hidden3, Size::Hidden],
            &[
                "encoder.layer.N.attention.self.query",
                "encoder.layer.N.attention.self.key",
                "encoder.layer.N.attention.self.value",
            ],
            Place::LayerInput,
        )
    },
    row(
        "layers.N.attention.query",
        Kind::Linear,
        &[Size::Hidden, Size::Hidden],
        &["encoder.layer.N.attention.self.query"],
        Place::FirstToken,
    ),
    Row {
        note: "each head's rows of the key matrix, transposed; its bias, `[a, h]`, is zero",
        ..row(
            "layers.N.attention.key_t",
            Kind::HeadRowsTransposed,
            &[Size::Heads, Size::Hidden, Size::HeadDim],
            &["encoder.layer.N.attention.self.key"],
            Place::FirstToken,
        )
    },
    Row {
        note: "each head's rows of the value matrix",
        ..row(
            "layers.N.attention.value",
            Kind::HeadRows,
            &[Size::Heads, Size::HeadDim, Size::Hidden],
            &["encoder.layer.N.attention.self.value"],
            Place::FirstToken,
        )
    },
    Row {
        activations: Some(Matrix::AttentionOutput),
        ..row(
            "layers.N.attention.output",
            Kind::Linear,
            &[Size::Hidden, Size::Hidden],
            &["encoder.layer.N.attention.output.dense"],
            Place::Layer,
        )
    },
    row(
        "layers.N.attention.layer_norm",
        Kind::Norm,
        &[Size::Hidden],
        &["encoder.layer.N.attention.output.LayerNorm"],
        Place::Layer,
    ),
    Row {
        activations: Some(Matrix::FfnIntermediate),
        ..row(
            "layers.N.ffn.intermediate",
            Kind::AfterNorm,
            &[Size::Inner, Size::Hidden],
            &["encoder.layer.N.intermediate.dense"],
            Place::Layer,
        )
    },
    Row {
        activations: Some(Matrix::FfnOutput),
        ..row(
            "layers.N.ffn.output",
            Kind::Linear,
            &[Size::Hidden, Size::Inner],
            &["encoder.layer.N.output.dense"],
            Place::Layer,
        )
    },
    row(
        "layers.N.ffn.layer_norm",
        Kind::Norm,
        &[Size::Hidden],
        &["encoder.layer.N.output.LayerNorm"],
        Place::Layer,
    ),
];

const HEAD: &[Row] = &[
    row(
        "pooler",
        Kind::Linear,
        &[Size::Hidden, Size::Hidden],
        &["pooler.dense"],
        Place::Classifier,
    ),
    row(
        "classifier",
        Kind::TableWithBias,
        &[Size::Labels, Size::Hidden],
        &["classifier"],
        Place::Classifier,
    ),
];

/// A layer that computes every token.
struct Layer {
    attention: Attention,
    feed_forward: FeedForward,
}

/// A last layer that computes the first token of each sequence.
struct ClsLayer {
    attention: ClsAttention,
    feed_forward: FeedForward,
}

/// A BERT's weights, ready to compute with.
pub(super) struct Bert {
    config: ModelConfig,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    last: Option<ClsLayer>,
    classifier: Option<Classifier>,
}

impl Bert {
    /// `pooler` is the activation under the classifier.
    pub(super) fn load(
        loader: &mut Loader<'_, '_>,
        config: &ModelConfig,
        pooler: Activation,
    ) -> Result<Self, Error> {
        let embeddings = Embeddings::load(loader, config)?;
        let mut layers = Vec::new();
        for _ in 0..config.num_hidden_layers - usize::from(config.cls_only()) {
            layers.push(Layer {
                attention: Attention::load(loader, config)?,
                feed_forward: FeedForward::load(loader, config)?,
            });
        }
        let last = if config.cls_only() {
            Some(ClsLayer {
                attention: ClsAttention::load(loader, config)?,
                feed_forward: FeedForward::load(loader, config)?,
            })
        } else {
            None
        };
        let classifier = match config.head {
            Head::Classifier { .. } => Some(Classifier::load(loader, pooler)?),
            Head::Encoder { .. } => None,
        };
        Ok(Bert {
            config: config.clone(),
            embeddings,
            layers,
            last,
            classifier,
        })
    }

    /// `s.own_x`, the batch's own rows, to `s.x`, the rows of every sequence with its share of the
    /// prefix in front.
    fn join_prefix(&self, batch: &Batch, prefix: &Prefix, s: &mut LayerScratch) {
        let hidden = self.config.hidden_size;
        s.x.clear();
        s.x.reserve(batch.full_rows() * hidden);
        for sequence in batch.sequences() {
            let own = sequence.own.start * hidden..sequence.own.end * hidden;
            s.x.extend_from_slice(&prefix.x[..sequence.prefix * hidden]);
            s.x.extend_from_slice(&s.own_x[own]);
        }
    }

    fn head(&self, kernels: &Kernels, batch: &Batch, s: &mut LayerScratch, out: &mut Vec<f32>) {
        if let Some(classifier) = &self.classifier {
            return classifier.apply(kernels, s, out);
        }
        let hidden = self.config.hidden_size;
        if self.last.is_some() {
            out.clear();
            out.extend_from_slice(&s.x);
        } else {
            mean_pool(batch.sequences(), &s.x, hidden, out);
        }
        if let Head::Encoder {
            normalize: true, ..
        } = self.config.head
        {
            normalize(kernels, out, hidden);
        }
    }
}

impl Network for Bert {
    fn prefix(&self, kernels: &Kernels, prefix: &mut Prefix, s: &mut LayerScratch) {
        let (narrow, quantized) = (&mut s.inner, &mut s.quantized);
        self.embeddings
            .apply(kernels, &prefix.tokens, narrow, quantized, &mut prefix.x);
        if let Some(first) = self.layers.first() {
            first
                .attention
                .project(kernels, &prefix.x, &mut s.quantized, &mut prefix.qkv);
        }
    }

    fn run_watched(
        &self,
        kernels: &Kernels,
        prefix: &Prefix,
        scratch: &mut Scratch,
        watch: &mut Watch<'_>,
    ) -> ControlFlow<()> {
        let Scratch {
            batch,
            out,
            layers: s,
            ..
        } = scratch;
        let (narrow, quantized) = (&mut s.inner, &mut s.quantized);
        self.embeddings
            .apply(kernels, batch.tokens(), narrow, quantized, &mut s.own_x);
        match self.layers.split_first() {
            Some((first, rest)) => {
                first
                    .attention
                    .project(kernels, &s.own_x, &mut s.quantized, &mut s.qkv);
                first
                    .attention
                    .attend(kernels, batch.sequences(), Some(prefix), s);
                self.join_prefix(batch, prefix, s);
                first.finish(kernels, s);
                watch(&s.x)?;
                for layer in rest {
                    layer
                        .attention
                        .project(kernels, &s.x, &mut s.quantized, &mut s.qkv);
                    layer.attention.attend(kernels, batch.sequences(), None, s);
                    layer.finish(kernels, s);
                    watch(&s.x)?;
                }
            }
            None => self.join_prefix(batch, prefix, s),
        }
        if let Some(last) = &self.last {
            last.attention.apply(kernels, batch.sequences(), s);
            last.feed_forward.apply(kernels, s);
            watch(&s.x)?;
        }
        self.head(kernels, batch, s, out);
        ControlFlow::Continue(())
    }
}

impl Layer {
    fn finish(&self, kernels: &Kernels, s: &mut LayerScratch) {
        self.attention.finish(kernels, s);
        self.feed_forward.apply(kernels, s);
    }
}
