//! Linear layers: packed weights in one of three dtypes, and a bias.

use half::f16;
use lanerank_kernels::layout::{self, PackedF16, PackedF32, PackedI8, ShapeError, padded_k};
use lanerank_kernels::{
    Activation, Epilogue, GemmFloat, GemmI8, GemmI8A16, Kernels, QuantizeI16, QuantizeU8, Rows,
    RowsI16, RowsI16Mut, RowsU8, RowsU8Mut,
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
        let (m, k) = (x.len() / self.k, self.k);
        let bias = &self.bias[i * self.n..(i + 1) * self.n];
        let (a, epilogue) = (Rows { data: x, m, k }, Epilogue { bias, act });
        match &self.weights {
            Weights::F32(all) => {
                let b = self.packed_f32(all, i).expect(LOADED);
                kernels.gemm_f32(GemmFloat {
                    a,
                    b,
                    epilogue,
                    out,
                });
            }
            Weights::F16(all) => {
                let b = self.packed_f16(all, i).expect(LOADED);
                kernels.gemm_f16(GemmFloat {
                    a,
                    b,
                    epilogue,
                    out,
                });
            }
            Weights::I8 {
                values,
                scales,
                sums,
                input_scale,
            } => {
                let product = GemmInt {
                    a,
                    input_scale: input_scale.as_deref(),
                    b: self.packed_i8(values, scales, sums, i).expect(LOADED),
                    epilogue,
                    out,
                };
                match self.precision {
                    Precision::Eight => product.with_u8(kernels, quantized),
                    Precision::Sixteen => product.with_i16(kernels, quantized),
                }
            }
        }
    }
}

/// `out = epilogue((a * input_scale) * b)` in integers.
struct GemmInt<'a> {
    a: Rows<'a>,
    /// `[k]`
    input_scale: Option<&'a [f32]>,
    b: PackedI8<'a>,
    epilogue: Epilogue<'a>,
    out: &'a mut [f32],
}

impl GemmInt<'_> {
    /// Rounds each row of `a` to 8 bits.
    fn with_u8(self, kernels: &Kernels, q: &mut Quantized) {
        let Rows { m, k, .. } = self.a;
        let data = sized(&mut q.high, m * padded_k(k));
        let params = sized(&mut q.params, m);
        kernels.quantize_u8(QuantizeU8 {
            x: self.a,
            scale: self.input_scale,
            out: RowsU8Mut { data, params },
        });
        kernels.gemm_i8(GemmI8 {
            a: RowsU8 { data, params },
            b: self.b,
            epilogue: self.epilogue,
            out: self.out,
        });
    }

    /// Rounds each row of `a` to 16 bits.
    fn with_i16(self, kernels: &Kernels, q: &mut Quantized) {
        let Rows { m, k, .. } = self.a;
        let high = sized(&mut q.high, m * padded_k(k));
        let low = sized(&mut q.low, m * padded_k(k));
        let scales = sized(&mut q.scales, m);
        kernels.quantize_i16(QuantizeI16 {
            x: self.a,
            scale: self.input_scale,
            out: RowsI16Mut { high, low, scales },
        });
        kernels.gemm_i8_a16(GemmI8A16 {
            a: RowsI16 { high, low, scales },
            b: self.b,
            epilogue: self.epilogue,
            out: self.out,
        });
    }
}
