//! The memory of one worker: grown to what the largest batch needed, then reused.

use lanerank_kernels::layout::{PackedI8, padded_k};
use lanerank_kernels::{
    Activation, Epilogue, GemmI8, GemmI8A16, Kernels, QuantizeI16, QuantizeU8, RowQuant, Rows,
    RowsI16, RowsI16Mut, RowsU8, RowsU8Mut,
};

use crate::batch::Batch;
use crate::layers::linear::Precision;
use crate::tokenizer::{TokenizerScratch, Truncation};

/// Quantised activations of the matrix product under way.
#[derive(Debug, Default)]
pub struct Quantized {
    high: Vec<u8>,
    low: Vec<u8>,
    params: Vec<RowQuant>,
    scales: Vec<f32>,
}

impl Quantized {
    /// Multiplies each row of `x[m, k]` by `input_scale[k]`, quantises it, and multiplies it with the
    /// weights.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn multiply(
        &mut self,
        kernels: &Kernels,
        x: &[f32],
        input_scale: Option<&[f32]>,
        precision: Precision,
        weights: &PackedI8<'_>,
        bias: &[f32],
        act: Activation,
        out: &mut [f32],
    ) {
        let k = weights.k();
        let m = x.len() / k;
        let (x, scale, b) = (Rows { data: x, m, k }, input_scale, *weights);
        let epilogue = Epilogue { bias, act };
        let high = sized(&mut self.high, m * padded_k(k));
        match precision {
            Precision::Eight => {
                let params = sized(&mut self.params, m);
                kernels.quantize_u8(QuantizeU8 {
                    x,
                    scale,
                    out: RowsU8Mut { data: high, params },
                });
                kernels.gemm_i8(GemmI8 {
                    a: RowsU8 { data: high, params },
                    b,
                    epilogue,
                    out,
                });
            }
            Precision::Sixteen => {
                let low = sized(&mut self.low, m * padded_k(k));
                let scales = sized(&mut self.scales, m);
                kernels.quantize_i16(QuantizeI16 {
                    x,
                    scale,
                    out: RowsI16Mut { high, low, scales },
                });
                kernels.gemm_i8_a16(GemmI8A16 {
                    a: RowsI16 { high, low, scales },
                    b,
                    epilogue,
                    out,
                });
            }
        }
    }
}

/// The first `len` elements of a buffer that only ever grows. What they hold is left over from
/// earlier use: the caller writes before it reads.
pub(crate) fn sized<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// Everything that a forward pass writes to.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The sequences to compute.
    pub batch: Batch,
    /// Indices of the batch's texts, and what was cut from each.
    pub pending: Vec<(usize, Truncation)>,
    /// Token ids of the passage being read.
    pub ids: Vec<u32>,
    /// The tokenizer's buffers.
    pub tokenizer: TokenizerScratch,
    /// The result: `[sequences, labels]` logits or `[sequences, hidden]` vectors.
    pub out: Vec<f32>,
    /// The layers' buffers.
    pub layers: LayerScratch,
}

/// Activations between the steps of a layer.
#[derive(Debug, Default)]
pub struct LayerScratch {
    /// The residual stream `[rows, hidden]`.
    pub x: Vec<f32>,
    /// The residual stream before prefix rows are put in.
    pub own_x: Vec<f32>,
    /// Queries, keys and values `[rows, 3 * hidden]`.
    pub qkv: Vec<f32>,
    /// Attention's result `[rows, hidden]`.
    pub context: Vec<f32>,
    /// What is added to the residual stream `[rows, hidden]`.
    pub delta: Vec<f32>,
    /// The feed-forward layer's inside `[rows, intermediate]`.
    pub inner: Vec<f32>,
    /// One head's rows where heads are computed apart.
    pub head_in: Vec<f32>,
    /// And their result.
    pub head_out: Vec<f32>,
    /// Attention kernels' own memory.
    pub attention: Vec<f32>,
    /// Quantised activations.
    pub quantized: Quantized,
}
