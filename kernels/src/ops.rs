//! The public operations: shapes are checked here, once, and then the tier's function is called.

use crate::attention_i8::MAX_TOKENS;
use crate::layout::MAX_K;
use crate::table::Kernels;
use crate::{Activation, PackedF16, PackedF32, PackedI8, padded_k};

/// How a row of activations was rounded to `u8`: `x` is about `(q - zero) * scale`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowQuant {
    /// Step between neighbouring values of `q`.
    pub scale: f32,
    /// The `q` of 0.0, from 0 to 255.
    pub zero: i32,
}

/// Panics unless `actual` is the product of `shape`.
#[track_caller]
fn check(what: &str, actual: usize, shape: &[usize]) {
    let expected = shape
        .iter()
        .try_fold(1_usize, |product, &x| product.checked_mul(x));
    assert!(
        expected == Some(actual),
        "{what} has {actual} elements, its shape is {shape:?}"
    );
}

/// Panics unless these are whole rows of `q | k | v` and an output row for each; returns how many.
#[track_caller]
fn check_attention(
    prefix: &[f32],
    rows: &[f32],
    heads: usize,
    head_dim: usize,
    out: &[f32],
) -> usize {
    let hidden = heads
        .checked_mul(head_dim)
        .expect("heads * head_dim overflows");
    let stride = hidden.checked_mul(3).expect("3 * hidden overflows");
    assert!(hidden > 0, "attention over rows of no channels");
    assert!(
        prefix.len().is_multiple_of(stride),
        "prefix is not rows of {stride}"
    );
    assert!(
        rows.len().is_multiple_of(stride),
        "rows are not rows of {stride}"
    );
    let len = prefix.len() / stride + rows.len() / stride;
    check("out", out.len(), &[len, hidden]);
    len
}

impl Kernels {
    /// Rounds each of `m` rows of `k` floats to `u8`, asymmetrically.
    ///
    /// Per row: `low = min(0, x..)`, `high = max(0, x..)`, `scale = (high - low) / 255`,
    /// `inverse = 255 / (high - low)`, `zero = round_even(-low * inverse)`,
    /// `q = clamp(round_even(x * inverse) + zero, 0, 255)`.
    /// A row of zeros, or so small that `inverse` overflows, gets `q = 0`, scale 1, zero 0.
    /// A row with NaN or whose range is not finite gets `q = 0`, scale NaN, zero 0, so that
    /// whatever is computed from it is NaN.
    ///
    /// `x`: `m * k`. `out`: `m * padded_k(k)`, of which the padding is set to 0. `params`: `m`.
    ///
    /// # Panics
    /// If a slice has another length, or `k` exceeds [`MAX_K`](crate::MAX_K).
    pub fn quantize_u8(
        &self,
        x: &[f32],
        m: usize,
        k: usize,
        out: &mut [u8],
        params: &mut [RowQuant],
    ) {
        check("x", x.len(), &[m, k]);
        check("out", out.len(), &[m, padded_k(k)]);
        check("params", params.len(), &[m]);
        (self.quantize_u8)(x, None, m, k, out, params);
    }

    /// [`quantize_u8`](Self::quantize_u8) of each row's `x[d] * scale[d]`.
    ///
    /// # Panics
    /// As that, or if `scale` is not `k` long.
    pub fn quantize_scaled_u8(
        &self,
        x: &[f32],
        scale: &[f32],
        m: usize,
        k: usize,
        out: &mut [u8],
        params: &mut [RowQuant],
    ) {
        check("x", x.len(), &[m, k]);
        check("scale", scale.len(), &[k]);
        check("out", out.len(), &[m, padded_k(k)]);
        check("params", params.len(), &[m]);
        (self.quantize_u8)(x, Some(scale), m, k, out, params);
    }

    /// Rounds each of `m` rows of `k` floats to 16 bits, symmetrically, in two planes of bytes.
    ///
    /// Per row: `scale = max|x| / 32767`, `q = round_even(x * (32767 / max|x|))`, and
    /// `q = (hi - 128) * 256 + lo`. Rows of zeros (or too small) get `q = 0`, scale 1; rows with
    /// NaN or an infinity `q = 0`, scale NaN.
    ///
    /// `x`: `m * k`. `hi`, `lo`: `m * padded_k(k)`, the padding set to `q = 0`. `scales`: `m`.
    ///
    /// # Panics
    /// If a slice has another length, or `k` exceeds [`MAX_K`](crate::MAX_K).
    pub fn quantize_i16(
        &self,
        x: &[f32],
        m: usize,
        k: usize,
        hi: &mut [u8],
        lo: &mut [u8],
        scales: &mut [f32],
    ) {
        check("x", x.len(), &[m, k]);
        check("hi", hi.len(), &[m, padded_k(k)]);
        check("lo", lo.len(), &[m, padded_k(k)]);
        check("scales", scales.len(), &[m]);
        (self.quantize_i16)(x, None, m, k, hi, lo, scales);
    }

    /// [`quantize_i16`](Self::quantize_i16) of each row's `x[d] * scale[d]`.
    ///
    /// # Panics
    /// As that, or if `scale` is not `k` long.
    pub fn quantize_scaled_i16(
        &self,
        x: &[f32],
        scale: &[f32],
        m: usize,
        k: usize,
        hi: &mut [u8],
        lo: &mut [u8],
        scales: &mut [f32],
    ) {
        check("x", x.len(), &[m, k]);
        check("scale", scale.len(), &[k]);
        check("hi", hi.len(), &[m, padded_k(k)]);
        check("lo", lo.len(), &[m, padded_k(k)]);
        check("scales", scales.len(), &[m]);
        (self.quantize_i16)(x, Some(scale), m, k, hi, lo, scales);
    }

    /// Product of `u8` activations and int8 weights: with the exact
    /// `acc = sum_d a[i][d] * w[j][d]` (i32),
    /// `out[i][j] = act(f32(acc - zero_i * sum_j) * (scale_i * weight_scale_j) + bias_j)`.
    ///
    /// `a`: `m * padded_k(k)`, whatever its padding. `params`: `m`. `bias`: `n`. `out`: `m * n`.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn gemm_i8(
        &self,
        a: &[u8],
        params: &[RowQuant],
        m: usize,
        b: &PackedI8<'_>,
        bias: &[f32],
        act: Activation,
        out: &mut [f32],
    ) {
        check("a", a.len(), &[m, padded_k(b.k())]);
        check("params", params.len(), &[m]);
        check("bias", bias.len(), &[b.n()]);
        check("out", out.len(), &[m, b.n()]);
        (self.gemm_i8)(a, params, m, b, bias, act, out);
    }

    /// Product of 16-bit activations (see [`quantize_i16`](Self::quantize_i16)) and int8 weights:
    /// with the exact `acc_hi` and `acc_lo` of the two planes (i32),
    /// `out[i][j] = act((f32(acc_hi - 128 * sum_j) * 256 + f32(acc_lo)) * (scale_i * weight_scale_j) + bias_j)`.
    ///
    /// `hi`, `lo`: `m * padded_k(k)`, whatever their padding. `scales`: `m`. `bias`: `n`.
    /// `out`: `m * n`.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn gemm_i8_a16(
        &self,
        hi: &[u8],
        lo: &[u8],
        scales: &[f32],
        m: usize,
        b: &PackedI8<'_>,
        bias: &[f32],
        act: Activation,
        out: &mut [f32],
    ) {
        check("hi", hi.len(), &[m, padded_k(b.k())]);
        check("lo", lo.len(), &[m, padded_k(b.k())]);
        check("scales", scales.len(), &[m]);
        check("bias", bias.len(), &[b.n()]);
        check("out", out.len(), &[m, b.n()]);
        (self.gemm_i8_a16)(hi, lo, scales, m, b, bias, act, out);
    }

    /// Product in f32: `out[i][j] = act(sum_d a[i][d] * w[j][d] + bias_j)`, the sum with one
    /// accumulator from 0, `d` ascending. The x86-64 tiers round each step of the sum once (fused),
    /// the others its product and its sum: they agree within 1e-4 of the sum of the magnitudes.
    ///
    /// `a`: `m * k`. `bias`: `n`. `out`: `m * n`.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn gemm_f32(
        &self,
        a: &[f32],
        m: usize,
        b: &PackedF32<'_>,
        bias: &[f32],
        act: Activation,
        out: &mut [f32],
    ) {
        check("a", a.len(), &[m, b.k()]);
        check("bias", bias.len(), &[b.n()]);
        check("out", out.len(), &[m, b.n()]);
        (self.gemm_f32)(a, m, b, bias, act, out);
    }

    /// [`gemm_f32`](Self::gemm_f32) with f16 weights, each widened to f32 (exactly) first.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn gemm_f16(
        &self,
        a: &[f32],
        m: usize,
        b: &PackedF16<'_>,
        bias: &[f32],
        act: Activation,
        out: &mut [f32],
    ) {
        check("a", a.len(), &[m, b.k()]);
        check("bias", bias.len(), &[b.n()]);
        check("out", out.len(), &[m, b.n()]);
        (self.gemm_f16)(a, m, b, bias, act, out);
    }

    /// Normalises each of `m` rows of `n` floats in place:
    /// `mean = sum(x) / n`, `variance = sum((x - mean)^2) / n`,
    /// `x = ((x - mean) * (1 / sqrt(variance + eps))) * weight + bias`; sums by 16 lanes.
    ///
    /// `x`: `m * n`. `weight`, `bias`: `n`.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn layer_norm(
        &self,
        x: &mut [f32],
        weight: &[f32],
        bias: &[f32],
        eps: f32,
        m: usize,
        n: usize,
    ) {
        check("x", x.len(), &[m, n]);
        check("weight", weight.len(), &[n]);
        check("bias", bias.len(), &[n]);
        (self.layer_norm)(x, weight, bias, eps, m, n);
    }

    /// [`layer_norm`](Self::layer_norm) of `x + delta`, into `x`: the residual connection.
    ///
    /// `x`, `delta`: `m * n`. `weight`, `bias`: `n`.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn add_layer_norm(
        &self,
        x: &mut [f32],
        delta: &[f32],
        weight: &[f32],
        bias: &[f32],
        eps: f32,
        m: usize,
        n: usize,
    ) {
        check("x", x.len(), &[m, n]);
        check("delta", delta.len(), &[m, n]);
        check("weight", weight.len(), &[n]);
        check("bias", bias.len(), &[n]);
        (self.add_layer_norm)(x, delta, weight, bias, eps, m, n);
    }

    /// Self-attention over one sequence, whose first rows (`prefix`, possibly none) lie apart
    /// from the others: they are the query's, shared by all pairs.
    ///
    /// A row is `q | k | v`, each `hidden = heads * head_dim` floats, head after head. Per head
    /// and row `i`: `s_j = (sum_d q_i[d] * k_j[d]) * (1 / sqrt(head_dim))`,
    /// `e_j = exp(s_j - max s)`, `out_i[d] = (sum_j e_j * v_j[d]) * (1 / sum_j e_j)`; the sums over
    /// `d` and of `e_j * v_j` with one accumulator, ascending, fused where
    /// [`gemm_f32`](Self::gemm_f32) fuses; `sum e_j` by 16 lanes.
    ///
    /// `prefix`, `rows`: whole rows of `3 * hidden`. `out`: `hidden` floats per row, the prefix's
    /// first. `scratch`: grown where it is too small, its contents do not matter.
    ///
    /// # Panics
    /// If a slice is not whole rows or `out` has another length, or `hidden` is 0.
    pub fn attention(
        &self,
        prefix: &[f32],
        rows: &[f32],
        heads: usize,
        head_dim: usize,
        scratch: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        check_attention(prefix, rows, heads, head_dim, out);
        (self.attention)(prefix, rows, heads, head_dim, scratch, out);
    }

    /// [`attention`](Self::attention) in integers, for int8 files: the same bits on every tier.
    ///
    /// Per head, queries and keys are rounded symmetrically token by token to magnitudes up to 127, values channel
    /// by channel over the sequence to magnitudes up to 511, all as in
    /// [`quantize_i16`](Self::quantize_i16) with that number in place of 32767. With the exact i32 products of those,
    /// `s_j = f32(q_i . k_j) * ((q_scale_i * (log2(e) / sqrt(head_dim))) * k_scale_j)`,
    /// `e_j = exp2_coarse(s_j - max s)` (see [`math`](crate::math)), `p_j = round_even(e_j * f)`, and
    /// `out_i[d] = f32(sum_j p_j * v_j[d]) * ((1 / f32(sum_j p_j)) * v_scale_d)`, both sums exact; `f` is 8192 for
    /// up to 512 tokens and `min(32767, 4160000 / sum e)` for more, `sum e` by 16 lanes.
    ///
    /// Arguments as of [`attention`](Self::attention).
    ///
    /// # Panics
    /// As [`attention`](Self::attention), and for more than 65,536 tokens or channels a head.
    pub fn attention_i8(
        &self,
        prefix: &[f32],
        rows: &[f32],
        heads: usize,
        head_dim: usize,
        scratch: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let len = check_attention(prefix, rows, heads, head_dim, out);
        assert!(len <= MAX_TOKENS, "attention over {len} tokens");
        assert!(head_dim <= MAX_K, "attention of {head_dim} channels a head");
        (self.attention_i8)(prefix, rows, heads, head_dim, scratch, out);
    }

    /// The attention of one token whose keys and values were multiplied out of the problem: per
    /// head `h`, `s_i = dot(t_h, x_i)` (see [`dot`](Self::dot)), `e_i = exp(s_i - max s)`,
    /// `out_h[c] = (sum_i e_i * x_i[c]) * (1 / sum_i e_i)`; the sum of `e_i * x_i` with one
    /// accumulator, ascending; `sum e_i` by 16 lanes. `t_h` is `W_k^T q` of the head and already
    /// carries `1 / sqrt(head_dim)`.
    ///
    /// `t`, `out`: `heads * hidden`. `prefix`, `rows`: whole rows of `hidden`. `scratch`: grown
    /// where it is too small, its contents do not matter.
    ///
    /// # Panics
    /// If `t` or `out` has another length, a slice is not whole rows, there is no row, or
    /// `hidden` is 0.
    pub fn cls_attention(
        &self,
        t: &[f32],
        prefix: &[f32],
        rows: &[f32],
        heads: usize,
        hidden: usize,
        scratch: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        assert!(hidden > 0, "attention over rows of no channels");
        check("t", t.len(), &[heads, hidden]);
        assert!(
            prefix.len().is_multiple_of(hidden),
            "prefix is not rows of {hidden}"
        );
        assert!(
            rows.len().is_multiple_of(hidden),
            "rows are not rows of {hidden}"
        );
        assert!(prefix.len() + rows.len() > 0, "attention over no rows");
        check("out", out.len(), &[heads, hidden]);
        (self.cls_attention)(t, prefix, rows, heads, hidden, scratch, out);
    }

    /// `x_i = exp(x_i - max x) * (1 / sum_j exp(x_j - max x))`, the sum by 16 lanes.
    pub fn softmax(&self, x: &mut [f32]) {
        (self.softmax)(x);
    }

    /// Applies an activation to each value.
    pub fn activate(&self, act: Activation, x: &mut [f32]) {
        (self.activate)(act, x);
    }

    /// [`activate`](Self::activate) with [`Activation::Gelu`].
    pub fn gelu(&self, x: &mut [f32]) {
        self.activate(Activation::Gelu, x);
    }

    /// `sum_i a[i] * b[i]` by 16 lanes.
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        check("b", b.len(), &[a.len()]);
        (self.dot)(a, b)
    }

    /// `out[i] = out[i] + scale * f32(row[i])`: adds a row of an int8 embedding table.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn add_scaled_i8(&self, row: &[i8], scale: f32, out: &mut [f32]) {
        check("out", out.len(), &[row.len()]);
        (self.add_scaled_i8)(row, scale, out);
    }

    /// Widens f16 to f32, exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn widen_f16(&self, src: &[half::f16], dst: &mut [f32]) {
        check("dst", dst.len(), &[src.len()]);
        (self.widen_f16)(src, dst);
    }
}
