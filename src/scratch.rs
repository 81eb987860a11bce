//! The memory of one worker. It grows to what the largest batch needs and is then reused.

use lanerank_kernels::RowQuant;

use crate::batch::Batch;
use crate::tokenizer::{TokenizerScratch, Truncation};

/// The first `len` elements of a buffer that only ever grows. They hold values of earlier use: write
/// before you read.
pub(crate) fn sized<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        buffer.resize(len, T::default());
    }
    &mut buffer[..len]
}

/// Everything that a forward pass writes to.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The sequences to compute.
    pub(crate) batch: Batch,
    /// For each sequence of the batch, its item's index and truncation.
    pub(crate) pending: Vec<(usize, Truncation)>,
    /// Token ids of the text being read.
    pub(crate) ids: Vec<u32>,
    /// The tokenizer's buffers.
    pub(crate) tokenizer: TokenizerScratch,
    /// The result: `[sequences, labels]` logits or `[sequences, hidden]` vectors.
    pub(crate) out: Vec<f32>,
    /// The layers' buffers.
    pub(crate) layers: LayerScratch,
}

/// Activations between the steps of a layer.
#[derive(Debug, Default)]
pub(crate) struct LayerScratch {
    /// The residual stream `[rows, hidden]`.
    pub(crate) x: Vec<f32>,
    /// The residual stream before prefix rows are put in.
    pub(crate) own_x: Vec<f32>,
    /// Queries, keys and values `[rows, 3 * hidden]`.
    pub(crate) qkv: Vec<f32>,
    /// Attention's result `[rows, hidden]`.
    pub(crate) context: Vec<f32>,
    /// The next addition to the residual stream `[rows, hidden]`.
    pub(crate) delta: Vec<f32>,
    /// The feed-forward layer's inner values `[rows, intermediate]`.
    pub(crate) inner: Vec<f32>,
    /// One head's rows, where heads are computed separately.
    pub(crate) head_in: Vec<f32>,
    /// Their results.
    pub(crate) head_out: Vec<f32>,
    /// Memory of the attention kernels.
    pub(crate) attention: Vec<f32>,
    /// Quantised activations of the current matrix product.
    pub(crate) quantized: Quantized,
}

/// Quantised activations of one matrix product.
#[derive(Debug, Default)]
pub(crate) struct Quantized {
    /// Values of 8 bits, or high bytes of 16.
    pub(crate) high: Vec<u8>,
    /// Low bytes of 16 bits.
    pub(crate) low: Vec<u8>,
    /// Scale and zero point of each row, for 8 bits.
    pub(crate) params: Vec<RowQuant>,
    /// Scale of each row, for 16 bits.
    pub(crate) scales: Vec<f32>,
}
