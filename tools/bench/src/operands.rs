//! Operands that own their memory.

use lanerank::kernels::layout::{PackedI8, column_sums, pack_i8, padded_k, quantize_weights};
use lanerank::kernels::{Kernels, QuantizeI16, QuantizeU8, RowQuant, Rows, RowsI16Mut, RowsU8Mut};

/// Values from -1 to 1, the same each time.
pub fn floats(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
        .collect()
}

/// Packed int8 weights that own their memory.
pub struct Weights {
    packed: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
    n: usize,
    k: usize,
}

impl Weights {
    /// Weights of `n` channels by `k` inputs.
    pub fn new(n: usize, k: usize) -> Self {
        let w = quantize_weights(&floats(n * k), n, k);
        Weights {
            packed: pack_i8(&w.values, n, k),
            sums: column_sums(&w.values, n, k),
            scales: w.scales,
            n,
            k,
        }
    }

    /// The operand.
    pub fn view(&self) -> PackedI8<'_> {
        PackedI8::new(self.n, self.k, &self.packed, &self.scales, &self.sums)
            .expect("packed for this shape")
    }
}

/// Rows of 8 bits that own their memory.
pub struct Bytes {
    /// The rows.
    pub data: Vec<u8>,
    /// One entry per row.
    pub params: Vec<RowQuant>,
}

impl Bytes {
    /// `m` rows of depth `k`.
    pub fn new(m: usize, k: usize) -> Self {
        Bytes {
            data: vec![0; m * padded_k(k)],
            params: vec![RowQuant::default(); m],
        }
    }

    /// Rounds rows, each multiplied by the scale where there is one.
    pub fn quantize(&mut self, tier: &Kernels, data: &[f32], scale: Option<&[f32]>, k: usize) {
        let (m, params) = (self.params.len(), &mut self.params[..]);
        let x = Rows { data, m, k };
        let data = &mut self.data[..];
        let out = RowsU8Mut { data, params };
        tier.quantize_u8(QuantizeU8 { x, scale, out });
    }
}

/// Rows of 16 bits that own their memory.
pub struct Planes {
    /// Upper bytes.
    pub high: Vec<u8>,
    /// Lower bytes.
    pub low: Vec<u8>,
    /// One scale per row.
    pub scales: Vec<f32>,
}

impl Planes {
    /// `m` rows of depth `k`.
    pub fn new(m: usize, k: usize) -> Self {
        Planes {
            high: vec![0; m * padded_k(k)],
            low: vec![0; m * padded_k(k)],
            scales: vec![0.0; m],
        }
    }

    /// Rounds rows, each multiplied by the scale where there is one.
    pub fn quantize(&mut self, tier: &Kernels, data: &[f32], scale: Option<&[f32]>, k: usize) {
        let (m, scales) = (self.scales.len(), &mut self.scales[..]);
        let x = Rows { data, m, k };
        let (high, low) = (&mut self.high[..], &mut self.low[..]);
        let out = RowsI16Mut { high, low, scales };
        tier.quantize_i16(QuantizeI16 { x, scale, out });
    }
}
