//! BERT: the order of its layers.
//!
//! Three kinds of work that a cross-encoder never needs are left out, here and so on every tier:
//! padding (sequences lie back to back), everything after the last layer's attention but the first
//! token's row (nor any key or value of that layer), and the query's tokens,
//! whose embeddings and first-layer projections are the same in every pair of a request.

use lanerank_kernels::Kernels;

use crate::Error;
use crate::batch::Batch;
use crate::format::sections::Sections;
use crate::layers::attention::{Attention, ClsAttention, Prefix};
use crate::layers::embeddings::Embeddings;
use crate::layers::feed_forward::FeedForward;
use crate::layers::head::{Classifier, mean_pool, normalize};
use crate::model::{Activations, Head, ModelConfig, Precision};
use crate::scratch::{LayerScratch, Scratch};

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

/// A BERT model's weights, ready to compute with.
pub struct Bert {
    config: ModelConfig,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    last: Option<ClsLayer>,
    classifier: Option<Classifier>,
}

impl Bert {
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        config: &ModelConfig,
        activations: Activations,
    ) -> Result<Self, Error> {
        let embeddings = Embeddings::load(sections, config)?;
        let full = config.num_hidden_layers - usize::from(config.cls_only());
        let mut layers = Vec::with_capacity(full);
        for i in 0..full {
            layers.push(Layer {
                attention: Attention::load(
                    sections,
                    &format!("layers.{i}.attention"),
                    config,
                    activations,
                )?,
                feed_forward: FeedForward::load(
                    sections,
                    &format!("layers.{i}.ffn"),
                    config,
                    activations,
                )?,
            });
        }
        let last = match config.cls_only() {
            true => Some(ClsLayer {
                attention: ClsAttention::load(
                    sections,
                    &format!("layers.{full}.attention"),
                    config,
                )?,
                feed_forward: FeedForward::load(
                    sections,
                    &format!("layers.{full}.ffn"),
                    config,
                    // A row a sequence, which nothing averages out.
                    Activations::all(Precision::Sixteen),
                )?,
            }),
            false => None,
        };
        let classifier = match config.head {
            Head::Classifier { num_labels } => {
                Some(Classifier::load(sections, config, num_labels)?)
            }
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

    /// Numbers that [`Bert::run`] leaves a sequence: labels or the vector's width.
    pub fn out_width(&self) -> usize {
        match self.config.head {
            Head::Classifier { num_labels } => num_labels,
            Head::Encoder { .. } => self.config.hidden_size,
        }
    }

    /// Computes what the sequences of a request share from `prefix.tokens`, its common first ones.
    pub fn prefix(&self, kernels: &Kernels, prefix: &mut Prefix, s: &mut LayerScratch) {
        self.embeddings
            .apply(kernels, &prefix.tokens, &mut prefix.x);
        if let Some(first) = self.layers.first() {
            first
                .attention
                .project(kernels, &prefix.x, &mut s.quantized, &mut prefix.qkv);
        }
    }

    /// Computes `scratch.batch` into `scratch.out`, `[sequences, out_width]`. Every sequence's
    /// result depends on its own tokens alone, bit for bit.
    pub fn run(&self, kernels: &Kernels, prefix: &Prefix, scratch: &mut Scratch) {
        self.run_watched(kernels, prefix, scratch, |_| ());
    }

    /// As [`Bert::run`]; `watch` is given the residual stream after each layer: all rows, after a
    /// last layer that computes first tokens only one row a sequence.
    pub(crate) fn run_watched(
        &self,
        kernels: &Kernels,
        prefix: &Prefix,
        scratch: &mut Scratch,
        mut watch: impl FnMut(&[f32]),
    ) {
        let Scratch {
            batch,
            out,
            layers: s,
            ..
        } = scratch;
        self.embeddings.apply(kernels, batch.tokens(), &mut s.own_x);
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
                watch(&s.x);
                for layer in rest {
                    layer
                        .attention
                        .project(kernels, &s.x, &mut s.quantized, &mut s.qkv);
                    layer.attention.attend(kernels, batch.sequences(), None, s);
                    layer.finish(kernels, s);
                    watch(&s.x);
                }
            }
            None => self.join_prefix(batch, prefix, s),
        }
        if let Some(last) = &self.last {
            last.attention.apply(kernels, batch.sequences(), s);
            last.feed_forward.apply(kernels, s);
            watch(&s.x);
        }
        self.head(kernels, batch, s, out);
    }

    /// `s.own_x`, the batch's own rows, to `s.x`, every sequence's rows with its share of the
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

impl Layer {
    fn finish(&self, kernels: &Kernels, s: &mut LayerScratch) {
        self.attention.finish(kernels, s);
        self.feed_forward.apply(kernels, s);
    }
}
