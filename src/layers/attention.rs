//! Attention over whole sequences, and the last layer's attention of the first token alone.

use lanerank_kernels::{Activation, Kernels};

use super::linear::{Linear, Precision};
use super::norm::LayerNorm;
use crate::Error;
use crate::batch::{Sequence, Token};
use crate::format::sections::Sections;
use crate::model::{Activations, Matrix, ModelConfig};
use crate::scratch::{LayerScratch, Quantized, sized};

/// Rows that many sequences begin with, computed once.
#[derive(Debug, Default)]
pub struct Prefix {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// The residual stream `[rows, hidden]`.
    pub x: Vec<f32>,
    /// The first layer's queries, keys and values `[rows, 3 * hidden]`.
    pub qkv: Vec<f32>,
}

/// Self-attention of every token, its output projection and layer norm.
pub struct Attention {
    /// `[3 * hidden, hidden]`: query, key and value.
    qkv: Linear,
    output: Linear,
    norm: LayerNorm,
    activations: Activations,
    heads: usize,
    hidden_size: usize,
}

impl Attention {
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        name: &str,
        config: &ModelConfig,
        activations: Activations,
    ) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        Ok(Attention {
            qkv: Linear::load_after_norm(sections, &format!("{name}.qkv"), &[3 * hidden, hidden])?,
            output: Linear::load(sections, &format!("{name}.output"), &[hidden, hidden])?,
            norm: LayerNorm::load(
                sections,
                &format!("{name}.layer_norm"),
                hidden,
                config.layer_norm_eps,
            )?,
            activations,
            heads: config.num_attention_heads,
            hidden_size: hidden,
        })
    }

    /// `out[rows, 3 * hidden]` = queries, keys and values of `x[rows, hidden]`.
    pub fn project(
        &self,
        kernels: &Kernels,
        x: &[f32],
        quantized: &mut Quantized,
        out: &mut Vec<f32>,
    ) {
        let out = sized(out, 3 * x.len());
        let act = Activation::None;
        let precision = self.activations.of(Matrix::AttentionQkv);
        self.qkv
            .apply(kernels, 0, x, precision, act, quantized, out);
    }

    /// Every sequence's tokens attend to each other: `s.qkv` to `s.context`. In the first layer the
    /// batch's shared beginnings come from `prefix`; later `s.qkv` has all rows.
    pub fn attend(
        &self,
        kernels: &Kernels,
        sequences: &[Sequence],
        prefix: Option<&Prefix>,
        s: &mut LayerScratch,
    ) {
        let hidden = self.hidden_size;
        let rows = sequences.last().map_or(0, |last| last.full.end);
        let context = sized(&mut s.context, rows * hidden);
        // In integers where the rest is: the same bits on every tier, and faster.
        let attention: fn(&Kernels, lanerank_kernels::Attention<'_>) = match self.qkv.is_int8() {
            true => Kernels::attention_i8,
            false => Kernels::attention,
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
    pub fn finish(&self, kernels: &Kernels, s: &mut LayerScratch) {
        let len = s.x.len();
        let delta = sized(&mut s.delta, len);
        self.output.apply(
            kernels,
            0,
            &s.context[..len],
            self.activations.of(Matrix::AttentionOutput),
            Activation::None,
            &mut s.quantized,
            delta,
        );
        self.norm.add(kernels, &mut s.x, delta);
    }
}

/// Self-attention of each sequence's first token only.
///
/// Neither keys nor values are computed. With `q` the token's query of one head,
/// `q . (W_k x_i + b_k) = (W_k^T q) . x_i + q . b_k`, of which the last term is the same for all
/// `i` and drops out of the softmax; and `sum p_i (W_v x_i + b_v) = W_v (sum p_i x_i) + b_v`,
/// because the probabilities sum to one.
pub struct ClsAttention {
    query: Linear,
    /// One `[hidden, head_dim]` a head: `W_k` transposed.
    key_t: Linear,
    /// One `[head_dim, hidden]` a head.
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: usize,
    hidden_size: usize,
    /// `1 / sqrt(head_dim)`
    scale: f32,
}

impl ClsAttention {
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        name: &str,
        config: &ModelConfig,
    ) -> Result<Self, Error> {
        let hidden = config.hidden_size;
        let heads = config.num_attention_heads;
        let dim = config.head_dim();
        let mut linear =
            |part: &str, shape: &[usize]| Linear::load(sections, &format!("{name}.{part}"), shape);
        Ok(ClsAttention {
            query: linear("query", &[hidden, hidden])?,
            key_t: linear("key_t", &[heads, hidden, dim])?,
            value: linear("value", &[heads, dim, hidden])?,
            output: linear("output", &[hidden, hidden])?,
            norm: LayerNorm::load(
                sections,
                &format!("{name}.layer_norm"),
                hidden,
                config.layer_norm_eps,
            )?,
            heads,
            hidden_size: hidden,
            scale: 1.0 / (dim as f32).sqrt(),
        })
    }

    /// Replaces `s.x`, the rows of all sequences, by one row each: its first token after
    /// attention and layer norm.
    pub fn apply(&self, kernels: &Kernels, sequences: &[Sequence], s: &mut LayerScratch) {
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
        self.output.apply(
            kernels,
            0,
            &s.qkv[..len],
            Precision::Sixteen,
            Activation::None,
            &mut s.quantized,
            delta,
        );
        s.x.clear();
        s.x.extend_from_slice(&s.context[..len]);
        self.norm.add(kernels, &mut s.x, delta);
    }

    /// `s.context[m, hidden]` to `s.inner[m, heads, hidden]`: per head `W_k^T q / sqrt(head_dim)`,
    /// the vector whose product with a token's row is its score.
    fn queries_into_inputs(&self, kernels: &Kernels, m: usize, s: &mut LayerScratch) {
        let (hidden, heads) = (self.hidden_size, self.heads);
        let dim = hidden / heads;
        let act = Activation::None;
        let q = sized(&mut s.qkv, m * hidden);
        let x = &s.context[..m * hidden];
        self.query
            .apply(kernels, 0, x, Precision::Sixteen, act, &mut s.quantized, q);
        q.iter_mut().for_each(|q| *q *= self.scale);
        let t = sized(&mut s.inner, m * heads * hidden);
        let head_in = sized(&mut s.head_in, m * dim);
        let head_out = sized(&mut s.head_out, m * hidden);
        for h in 0..heads {
            copy_columns(q, hidden, h * dim, head_in, dim, 0, dim);
            self.key_t.apply(
                kernels,
                h,
                head_in,
                Precision::Sixteen,
                act,
                &mut s.quantized,
                head_out,
            );
            copy_columns(head_out, hidden, 0, t, heads * hidden, h * hidden, hidden);
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
            copy_columns(&s.delta, width, h * hidden, head_in, hidden, 0, hidden);
            self.value.apply(
                kernels,
                h,
                head_in,
                Precision::Sixteen,
                Activation::None,
                &mut s.quantized,
                head_out,
            );
            copy_columns(head_out, dim, 0, values, hidden, h * dim, dim);
        }
    }
}

/// Copies `width` columns of every row of `to`'s matrix from the same row of `from`'s.
fn copy_columns(
    from: &[f32],
    from_stride: usize,
    from_column: usize,
    to: &mut [f32],
    to_stride: usize,
    to_column: usize,
    width: usize,
) {
    for (from, to) in from
        .chunks_exact(from_stride)
        .zip(to.chunks_exact_mut(to_stride))
    {
        to[to_column..to_column + width].copy_from_slice(&from[from_column..from_column + width]);
    }
}
