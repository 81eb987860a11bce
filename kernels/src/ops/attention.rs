//! Attention.

use super::{check, check_whole};
use crate::Kernels;
use crate::attention_bounds::MAX_TOKENS;
use crate::layout::MAX_K;
use crate::tokens::Tokens;

/// Parameters of [`Kernels::attention`] and [`Kernels::attention_i8`].
///
/// A row is `q | k | v`, each `hidden = heads * head_dim` floats, head after head.
#[derive(Debug)]
pub struct Attention<'a> {
    /// The first rows of the sequence, whole rows of `3 * hidden`; may be empty. Sequences that
    /// begin with the same query share these.
    pub prefix: &'a [f32],
    /// The other rows.
    pub rows: &'a [f32],
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub head_dim: usize,
    /// Working memory, of any content; it grows where it is too small.
    pub scratch: &'a mut Vec<f32>,
    /// `hidden` floats per row, the prefix's rows first.
    pub out: &'a mut [f32],
}

/// [`Attention`] in integers.
pub(crate) struct AttentionI8<'a>(pub(crate) Attention<'a>);

/// Parameters of [`Kernels::cls_attention`].
#[derive(Debug)]
pub struct ClsAttention<'a> {
    /// `heads * hidden` floats: per head, the vector that scores rows.
    pub t: &'a [f32],
    /// The first rows of the sequence, whole rows of `hidden`; may be empty.
    pub prefix: &'a [f32],
    /// The other rows.
    pub rows: &'a [f32],
    /// Heads.
    pub heads: usize,
    /// Floats of a row.
    pub hidden: usize,
    /// Working memory, of any content; it grows where it is too small.
    pub scratch: &'a mut Vec<f32>,
    /// `heads * hidden` outputs.
    pub out: &'a mut [f32],
}

impl<'a> Attention<'a> {
    pub(crate) fn tokens(&self) -> Tokens<'a> {
        Tokens {
            prefix: self.prefix,
            rows: self.rows,
            width: 3 * self.heads * self.head_dim,
        }
    }

    /// Panics unless the shapes fit; returns the number of tokens.
    #[track_caller]
    fn check(&self) -> usize {
        let hidden = self
            .heads
            .checked_mul(self.head_dim)
            .expect("heads * head_dim overflows");
        let stride = hidden.checked_mul(3).expect("3 * hidden overflows");
        assert!(hidden > 0, "attention over rows of no channels");
        check_whole("prefix", self.prefix, stride);
        check_whole("rows", self.rows, stride);
        let len = self.prefix.len() / stride + self.rows.len() / stride;
        check("out", self.out.len(), &[len, hidden]);
        len
    }
}

impl<'a> ClsAttention<'a> {
    pub(crate) fn tokens(&self) -> Tokens<'a> {
        Tokens {
            prefix: self.prefix,
            rows: self.rows,
            width: self.hidden,
        }
    }
}

impl Kernels {
    /// Self-attention over one sequence.
    ///
    /// Per head and row `i`: `s_j = (sum_d q_i[d] * k_j[d]) * (1 / sqrt(head_dim))`,
    /// `e_j = exp(s_j - max s)`, `out_i[d] = (sum_j e_j * v_j[d]) * (1 / sum_j e_j)`. The sums over
    /// `d` and of `e_j * v_j` have one accumulator, ascending, and are fused where
    /// [`gemm_f32`](Self::gemm_f32) fuses; `sum e_j` is by 16 lanes.
    ///
    /// # Panics
    /// If a slice is not whole rows, `out` has another length, or `hidden` is 0.
    pub fn attention(&self, op: Attention<'_>) {
        op.check();
        (self.attention)(op);
    }

    /// [`attention`](Self::attention) in integers, for int8 files: the same bits on every tier.
    ///
    /// Per head, queries and keys are rounded symmetrically, token by token, to magnitudes up to
    /// 127; values channel by channel over the sequence to magnitudes up to 511; all as in
    /// [`quantize_i16`](Self::quantize_i16) with that number in place of 32767. With the exact i32
    /// products of those:
    /// `s_j = f32(q_i . k_j) * ((q_scale_i * (log2(e) / sqrt(head_dim))) * k_scale_j)`,
    /// `e_j = exp2_coarse(s_j - max s)` (see [`math`](crate::math)), `p_j = round_even(e_j * f)`,
    /// `out_i[d] = f32(sum_j p_j * v_j[d]) * ((1 / f32(sum_j p_j)) * v_scale_d)`, both sums exact.
    /// `f` is 8192 for up to 512 tokens and `min(32767, 4160000 / sum e)` for more, `sum e` by 16
    /// lanes.
    ///
    /// # Panics
    /// As [`attention`](Self::attention), and for more than 65,536 tokens or channels of a head.
    pub fn attention_i8(&self, op: Attention<'_>) {
        let (len, head_dim) = (op.check(), op.head_dim);
        assert!(len <= MAX_TOKENS, "attention over {len} tokens");
        assert!(head_dim <= MAX_K, "attention of {head_dim} channels a head");
        (self.attention_i8)(AttentionI8(op));
    }

    /// Attention of a sequence's first token only, `[CLS]`, without keys and values: the caller
    /// has multiplied them out.
    ///
    /// Per head `h`: `s_i = dot(t_h, x_i)` (see [`dot`](Self::dot)), `e_i = exp(s_i - max s)`,
    /// `out_h[c] = (sum_i e_i * x_i[c]) * (1 / sum_i e_i)`. The sum of `e_i * x_i` has one
    /// accumulator, ascending; `sum e_i` is by 16 lanes. `t_h` is the head's `W_k^T q`, times
    /// `1 / sqrt(head_dim)`.
    ///
    /// # Panics
    /// If `t` or `out` has another length, a slice is not whole rows, there is no row, or
    /// `hidden` is 0.
    pub fn cls_attention(&self, op: ClsAttention<'_>) {
        let (heads, hidden) = (op.heads, op.hidden);
        assert!(hidden > 0, "attention over rows of no channels");
        check("t", op.t.len(), &[heads, hidden]);
        check_whole("prefix", op.prefix, hidden);
        check_whole("rows", op.rows, hidden);
        assert!(
            op.prefix.len() + op.rows.len() > 0,
            "attention over no rows"
        );
        check("out", op.out.len(), &[heads, hidden]);
        (self.cls_attention)(op);
    }
}
