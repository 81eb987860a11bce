//! Self-attention: of every token, and of first tokens only in a last layer.

use std::ops::Range;

use lanerank_kernels::{Activation, Kernels};

use super::linear::{HeadLinear, Linear};
use super::loader::Loader;
use super::norm::LayerNorm;
use crate::batch::Sequence;
use crate::config::ModelConfig;
use crate::error::Error;
use crate::scratch::{LayerScratch, Quantized, sized};
use crate::tokenizer::Token;

/// The common first tokens of a request's sequences, computed once.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    /// The tokens.
    pub(crate) tokens: Vec<Token>,
    /// The residual stream `[rows, hidden]`.
    pub(crate) x: Vec<f32>,
    /// The first layer's queries, keys and values `[rows, 3 * hidden]`.
    pub(crate) qkv: Vec<f32>,
}

/// Self-attention of every token, its output projection and layer norm.
pub(crate) struct Attention {
    /// `[3 * hidden, hidden]`: query, key and value.
    qkv: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: usize,
    hidden_size: usize,
}

impl Attention {
    pub(crate) fn load(loader: &mut Loader<'_, '_>, config: &ModelConfig) -> Result<Self, Error> {
        Ok(Attention {
            qkv: loader.linear("qkv")?,
            output: loader.linear("output")?,
            norm: loader.norm("layer_norm")?,
            heads: config.num_attention_heads,
            hidden_size: config.hidden_size,
        })
    }

    /// `out[rows, 3 * hidden]` = queries, keys and values of `x[rows, hidden]`.
    pub(crate) fn project(
        &self,
        kernels: &Kernels,
        x: &[f32],
        quantized: &mut Quantized,
        out: &mut Vec<f32>,
    ) {
        let out = sized(out, 3 * x.len());
        self.qkv.apply(kernels, x, Activation::None, quantized, out);
    }

    /// The tokens of each sequence attend to each other: `s.qkv` to `s.context`. In the first layer
    /// the sequences' shared tokens come from `prefix`; later `s.qkv` has all rows.
    pub(crate) fn attend(
        &self,
        kernels: &Kernels,
        sequences: &[Sequence],
        prefix: Option<&Prefix>,
        s: &mut LayerScratch,
    ) {
        let hidden = self.hidden_size;
        let rows = sequences.last().map_or(0, |last| last.full.end);
        let context = sized(&mut s.context, rows * hidden);
        // In integers if the products are: the same bits on every tier, and faster.
        let attention: fn(&Kernels, lanerank_kernels::Attention<'_>) = if self.qkv.is_int8() {
            Kernels::attention_i8
        } else {
            Kernels::attention
        };
        for sequence in sequences {
            let (shared, own) = match prefix {
                Some(prefix) => (&prefix.qkv[..sequence.prefix * 3 * hidden], &sequence.own),
                None => (&[][..], &sequence.full),
            };
            let op = lanerank_kernels::Attention {
                prefix: shared,
                rows: &s.qkv[own.start * 3 * hidden..own.end * 3 * hidden],
                heads: self.heads,
                head_dim: hidden / self.heads,
                scratch: &mut s.attention,
                out: &mut context[sequence.full.start * hidden..sequence.full.end * hidden],
            };
            attention(kernels, op);
        }
    }

    /// `x = norm(x + output(context))`.
    pub(crate) fn finish(&self, kernels: &Kernels, s: &mut LayerScratch) {
        let len = s.x.len();
        let delta = sized(&mut s.delta, len);
        let (x, act) = (&s.context[..len], Activation::None);
        self.output.apply(kernels, x, act, &mut s.quantized, delta);
        self.norm.add(kernels, &mut s.x, delta);
    }
}

/// Self-attention of each sequence's first token only, without computing keys or values.
///
/// Let `q` be the token's query of one head. Then
/// `q . (W_k x_i + b_k) = (W_k^T q) . x_i + q . b_k`. The last term is the same for all `i` and
/// drops out of the softmax. And `sum p_i (W_v x_i + b_v) = W_v (sum p_i x_i) + b_v`, because the
/// probabilities sum to one.
pub(crate) struct ClsAttention {
    query: Linear,
    /// One `[hidden, head_dim]` per head: `W_k` transposed.
    key_t: HeadLinear,
    /// One `[head_dim, hidden]` per head.
    value: HeadLinear,
    output: Linear,
    norm: LayerNorm,
    heads: usize,
    hidden_size: usize,
    /// `1 / sqrt(head_dim)`
    scale: f32,
}

impl ClsAttention {
    pub(crate) fn load(loader: &mut Loader<'_, '_>, config: &ModelConfig) -> Result<Self, Error> {
        Ok(ClsAttention {
            query: loader.linear("query")?,
            key_t: loader.heads("key_t")?,
            value: loader.heads("value")?,
            output: loader.linear("output")?,
            norm: loader.norm("layer_norm")?,
            heads: config.num_attention_heads,
            hidden_size: config.hidden_size,
            scale: 1.0 / (config.head_dim() as f32).sqrt(),
        })
    }

    /// Replaces `s.x`, the rows of all sequences, by one row per sequence: its first token after
    /// attention and layer norm.
    pub(crate) fn apply(&self, kernels: &Kernels, sequences: &[Sequence], s: &mut LayerScratch) {
        let hidden = self.hidden_size;
        let len = sequences.len() * hidden;
        let first = sized(&mut s.context, len);
        for (sequence, row) in sequences.iter().zip(first.chunks_exact_mut(hidden)) {
            row.copy_from_slice(&s.x[sequence.full.start * hidden..][..hidden]);
        }
        self.queries_into_inputs(kernels, sequences.len(), s);
        self.attend(kernels, sequences, s);
        self.values(kernels, sequences.len(), s);
        let delta = sized(&mut s.delta, len);
        let (x, act) = (&s.qkv[..len], Activation::None);
        self.output.apply(kernels, x, act, &mut s.quantized, delta);
        s.x.clear();
        s.x.extend_from_slice(&s.context[..len]);
        self.norm.add(kernels, &mut s.x, delta);
    }

    /// `s.context[m, hidden]` to `s.inner[m, heads, hidden]`: `W_k^T q / sqrt(head_dim)` per head. Its
    /// product with a token's row is the token's score.
    fn queries_into_inputs(&self, kernels: &Kernels, m: usize, s: &mut LayerScratch) {
        let (hidden, heads) = (self.hidden_size, self.heads);
        let dim = hidden / heads;
        let q = sized(&mut s.qkv, m * hidden);
        let x = &s.context[..m * hidden];
        self.query
            .apply(kernels, x, Activation::None, &mut s.quantized, q);
        q.iter_mut().for_each(|q| *q *= self.scale);
        let t = sized(&mut s.inner, m * heads * hidden);
        let head_in = sized(&mut s.head_in, m * dim);
        let head_out = sized(&mut s.head_out, m * hidden);
        for h in 0..heads {
            copy_columns(q, hidden, h * dim..(h + 1) * dim, head_in, dim, 0);
            self.key_t
                .apply(kernels, h, head_in, &mut s.quantized, head_out);
            copy_columns(head_out, hidden, 0..hidden, t, heads * hidden, h * hidden);
        }
    }

    /// `s.inner[m, heads, hidden]` as scoring vectors to `s.delta[m, heads, hidden]`: the weighted
    /// mean of the sequence's rows.
    fn attend(&self, kernels: &Kernels, sequences: &[Sequence], s: &mut LayerScratch) {
        let (hidden, heads) = (self.hidden_size, self.heads);
        let width = heads * hidden;
        let means = sized(&mut s.delta, sequences.len() * width);
        for (i, sequence) in sequences.iter().enumerate() {
            kernels.cls_attention(lanerank_kernels::ClsAttention {
                t: &s.inner[i * width..(i + 1) * width],
                prefix: &[],
                rows: &s.x[sequence.full.start * hidden..sequence.full.end * hidden],
                heads,
                hidden,
                scratch: &mut s.attention,
                out: &mut means[i * width..(i + 1) * width],
            });
        }
    }

    /// `s.delta[m, heads, hidden]` to `s.qkv[m, hidden]`: each head's value projection.
    fn values(&self, kernels: &Kernels, m: usize, s: &mut LayerScratch) {
        let (hidden, heads) = (self.hidden_size, self.heads);
        let dim = hidden / heads;
        let values = sized(&mut s.qkv, m * hidden);
        let head_in = sized(&mut s.head_in, m * hidden);
        let head_out = sized(&mut s.head_out, m * dim);
        for h in 0..heads {
            let width = heads * hidden;
            let columns = h * hidden..(h + 1) * hidden;
            copy_columns(&s.delta, width, columns, head_in, hidden, 0);
            self.value
                .apply(kernels, h, head_in, &mut s.quantized, head_out);
            copy_columns(head_out, dim, 0..dim, values, hidden, h * dim);
        }
    }
}

/// Copies `columns` of every row of `from` to the same row of `to`, from column `to_column` on.
fn copy_columns(
    from: &[f32],
    from_width: usize,
    columns: Range<usize>,
    to: &mut [f32],
    to_width: usize,
    to_column: usize,
) {
    let rows = from.chunks_exact(from_width);
    for (from, to) in rows.zip(to.chunks_exact_mut(to_width)) {
        to[to_column..to_column + columns.len()].copy_from_slice(&from[columns.clone()]);
    }
}
