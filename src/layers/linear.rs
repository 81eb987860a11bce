//! Linear layers: packed weights in one of three dtypes, and a bias.

use half::f16;
use lanerank_kernels::{
    Activation, Kernels, PackedF16, PackedF32, PackedI8, ShapeError, layout, padded_k,
};

use crate::config::{Activations, Precision};
use crate::error::Error;
use crate::format::directory::{Dtype, Layout};
use crate::format::sections::Sections;
use crate::format::storage::View;
use crate::schema::{Kind, Weight};
use crate::scratch::{Quantized, sized};

/// A matrix `[n, k]` and a bias `[n]`.
pub(crate) struct Linear(Stack);

/// One matrix `[n, k]` and one bias `[n]` per attention head.
pub(crate) struct HeadLinear(Stack);

/// A [`Linear`] is a stack of one matrix.
const ONLY: usize = 0;

impl Linear {
    /// Takes `.weight`, `.bias`, and for int8 `.scale`, `.sum` and, after a norm, `.input_scale`.
    pub(super) fn load(
        sections: &mut Sections<'_>,
        weight: &Weight,
        activations: Activations,
    ) -> Result<Self, Error> {
        Ok(Linear(Stack::load(sections, weight, activations)?))
    }

    /// Number of outputs.
    pub(crate) fn out_features(&self) -> usize {
        self.0.n
    }

    /// Whether products are computed in integers.
    pub(crate) fn is_int8(&self) -> bool {
        matches!(self.0.weights, Weights::I8 { .. })
    }

    /// `out[m, n] = act(x[m, k] * weight^T + bias)`.
    pub(crate) fn apply(
        &self,
        kernels: &Kernels,
        x: &[f32],
        act: Activation,
        quantized: &mut Quantized,
        out: &mut [f32],
    ) {
        self.0.apply(kernels, ONLY, x, act, quantized, out);
    }
}

impl HeadLinear {
    /// As for [`Linear`], every section with a leading dimension.
    pub(super) fn load(
        sections: &mut Sections<'_>,
        weight: &Weight,
        activations: Activations,
    ) -> Result<Self, Error> {
        Ok(HeadLinear(Stack::load(sections, weight, activations)?))
    }

    /// `out[m, n] = x[m, k] * weight[head]^T + bias[head]`.
    pub(crate) fn apply(
        &self,
        kernels: &Kernels,
        head: usize,
        x: &[f32],
        quantized: &mut Quantized,
        out: &mut [f32],
    ) {
        self.0
            .apply(kernels, head, x, Activation::None, quantized, out);
    }
}

enum Weights {
    F32(View<f32>),
    F16(View<f16>),
    I8 {
        values: View<i8>,
        scales: View<f32>,
        sums: View<i32>,
        /// `[k]`: factors of the input before it is quantised. The stored weights are divided by
        /// them. They even out a layer norm's output, where some channels are far wider than
        /// others.
        input_scale: Option<View<f32>>,
    },
}

/// Matrices of one shape that share a name.
struct Stack {
    weights: Weights,
    /// `[matrices, n]`
    bias: View<f32>,
    n: usize,
    k: usize,
    /// Bits that activations are rounded to, if the weights are int8.
    precision: Precision,
}

impl Stack {
    /// `weight.shape` is `[n, k]` or `[matrices, n, k]`.
    fn load(
        sections: &mut Sections<'_>,
        weight: &Weight,
        activations: Activations,
    ) -> Result<Self, Error> {
        let (&k, rows) = weight.shape.split_last().unwrap_or((&0, &[]));
        let name = |part: &str| format!("{}.{part}", weight.name);
        let (values, shape) = (name("weight"), &weight.shape[..]);
        let dtype = sections.dtype(&values)?;
        let panels = Layout::Panels;
        let weights = match dtype {
            Dtype::F32 => Weights::F32(sections.view(&values, dtype, panels, shape)?),
            Dtype::F16 => Weights::F16(sections.view(&values, dtype, panels, shape)?),
            Dtype::I8 => Weights::I8 {
                values: sections.view(&values, dtype, panels, shape)?,
                scales: sections.finite(&name("scale"), rows)?,
                sums: sections.view(&name("sum"), Dtype::I32, Layout::Rows, rows)?,
                input_scale: match weight.kind {
                    Kind::AfterNorm => Some(sections.finite(&name("input_scale"), &[k])?),
                    _ => None,
                },
            },
            _ => return Err(Error::section(&values, "not a matrix's dtype")),
        };
        let stack = Stack {
            weights,
            bias: sections.finite(&name("bias"), rows)?,
            n: rows.last().copied().unwrap_or(0),
            k,
            precision: weight.precision(activations),
        };
        stack
            .check_shape()
            .map_err(|e| Error::section(&values, e.to_string()))?;
        Ok(stack)
    }

    /// Makes the views that `apply` makes, so that it cannot fail later.
    fn check_shape(&self) -> Result<(), ShapeError> {
        let matrices = self.bias.len() / self.n.max(1);
        (0..matrices).try_for_each(|i| match &self.weights {
            Weights::F32(values) => self.packed_f32(values, i).map(drop),
            Weights::F16(values) => self.packed_f16(values, i).map(drop),
            Weights::I8 {
                values,
                scales,
                sums,
                ..
            } => self.packed_i8(values, scales, sums, i).map(drop),
        })
    }

    fn packed_f32<'a>(&self, all: &'a [f32], i: usize) -> Result<PackedF32<'a>, ShapeError> {
        let len = layout::packed_f32_len(self.n, self.k);
        PackedF32::new(self.n, self.k, &all[i * len..(i + 1) * len])
    }

    fn packed_f16<'a>(&self, all: &'a [f16], i: usize) -> Result<PackedF16<'a>, ShapeError> {
        let len = layout::packed_f32_len(self.n, self.k);
        PackedF16::new(self.n, self.k, &all[i * len..(i + 1) * len])
    }

    fn packed_i8<'a>(
        &self,
        values: &'a [i8],
        scales: &'a [f32],
        sums: &'a [i32],
        i: usize,
    ) -> Result<PackedI8<'a>, ShapeError> {
        let len = layout::packed_i8_len(self.n, self.k);
        let rows = i * self.n..(i + 1) * self.n;
        let values = &values[i * len..(i + 1) * len];
        PackedI8::new(self.n, self.k, values, &scales[rows.clone()], &sums[rows])
    }

    /// `out[m, n] = act(x[m, k] * weight[i]^T + bias[i])`.
    fn apply(
        &self,
        kernels: &Kernels,
        i: usize,
        x: &[f32],
        act: Activation,
        quantized: &mut Quantized,
        out: &mut [f32],
    ) {
        const LOADED: &str = "shapes were checked when the model was opened";
        let m = x.len() / self.k;
        let bias = &self.bias[i * self.n..(i + 1) * self.n];
        match &self.weights {
            Weights::F32(all) => {
                let weights = self.packed_f32(all, i).expect(LOADED);
                kernels.gemm_f32(x, m, &weights, bias, act, out);
            }
            Weights::F16(all) => {
                let weights = self.packed_f16(all, i).expect(LOADED);
                kernels.gemm_f16(x, m, &weights, bias, act, out);
            }
            Weights::I8 {
                values,
                scales,
                sums,
                input_scale,
            } => {
                let weights = self.packed_i8(values, scales, sums, i).expect(LOADED);
                let input = Input {
                    x,
                    scale: input_scale.as_deref(),
                    m,
                    k: self.k,
                };
                match self.precision {
                    Precision::Eight => {
                        let (x, params) = input.quantize_u8(kernels, quantized);
                        kernels.gemm_i8(x, params, m, &weights, bias, act, out);
                    }
                    Precision::Sixteen => {
                        let (high, low, scales) = input.quantize_i16(kernels, quantized);
                        kernels.gemm_i8_a16(high, low, scales, m, &weights, bias, act, out);
                    }
                }
            }
        }
    }
}

/// The input of an int8 product.
struct Input<'a> {
    /// `[m, k]`
    x: &'a [f32],
    /// `[k]`
    scale: Option<&'a [f32]>,
    m: usize,
    k: usize,
}

impl Input<'_> {
    /// Rounds each row to 8 bits.
    fn quantize_u8<'q>(
        &self,
        kernels: &Kernels,
        q: &'q mut Quantized,
    ) -> (&'q [u8], &'q [lanerank_kernels::RowQuant]) {
        let &Input { x, scale, m, k } = self;
        let values = sized(&mut q.high, m * padded_k(k));
        let params = sized(&mut q.params, m);
        match scale {
            Some(scale) => kernels.quantize_scaled_u8(x, scale, m, k, values, params),
            None => kernels.quantize_u8(x, m, k, values, params),
        }
        (values, params)
    }

    /// Rounds each row to 16 bits: high bytes, low bytes, and a scale per row.
    fn quantize_i16<'q>(
        &self,
        kernels: &Kernels,
        q: &'q mut Quantized,
    ) -> (&'q [u8], &'q [u8], &'q [f32]) {
        let &Input { x, scale, m, k } = self;
        let high = sized(&mut q.high, m * padded_k(k));
        let low = sized(&mut q.low, m * padded_k(k));
        let scales = sized(&mut q.scales, m);
        match scale {
            Some(scale) => kernels.quantize_scaled_i16(x, scale, m, k, high, low, scales),
            None => kernels.quantize_i16(x, m, k, high, low, scales),
        }
        (high, low, scales)
    }
}
