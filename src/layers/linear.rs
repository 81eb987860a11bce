//! Linear layers: packed weights of one of three dtypes, and a bias.

use half::f16;
use lanerank_kernels::layout::{self, PackedF16, PackedF32, PackedI8, ShapeError};
use lanerank_kernels::{Activation, Epilogue, GemmFloat, Kernels, Rows};

use crate::Error;
use crate::format::directory::{Dtype, Layout};
use crate::format::header::field;
use crate::format::sections::Sections;
use crate::format::storage::View;
pub use crate::model::Precision;
use crate::scratch::Quantized;

enum Weights {
    F32(View<f32>),
    F16(View<f16>),
    I8 {
        values: View<i8>,
        scales: View<f32>,
        sums: View<i32>,
        /// `[k]`: what inputs are multiplied by before they are quantised, where the input is a layer
        /// norm's output, some channels of which are far wider than others. The weights are stored
        /// divided by it.
        input_scale: Option<View<f32>>,
    },
}

/// One matrix `[n, k]`, or a stack of them that share a name (one per attention head).
pub struct Linear {
    weights: Weights,
    /// `[stack, n]`
    bias: View<f32>,
    n: usize,
    k: usize,
}

impl Linear {
    /// Takes `{name}.weight`, `{name}.bias`, and for int8 `{name}.scale` and `{name}.sum`.
    /// `shape` is `[n, k]` or `[stack, n, k]`.
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        name: &str,
        shape: &[usize],
    ) -> Result<Self, Error> {
        Self::load_with(sections, name, shape, false)
    }

    /// [`Linear::load`] of a layer whose input is a layer norm's output: for int8 it has an
    /// `{name}.input_scale` as well.
    pub(crate) fn load_after_norm(
        sections: &mut Sections<'_>,
        name: &str,
        shape: &[usize],
    ) -> Result<Self, Error> {
        Self::load_with(sections, name, shape, true)
    }

    fn load_with(
        sections: &mut Sections<'_>,
        name: &str,
        shape: &[usize],
        after_norm: bool,
    ) -> Result<Self, Error> {
        let (&k, rows) = shape.split_last().unwrap_or((&0, &[]));
        let weight = format!("{name}.weight");
        let dtype = sections.dtype(&weight)?;
        let panels = Layout::Panels;
        let weights = match dtype {
            Dtype::F32 => Weights::F32(sections.view(&weight, dtype, panels, shape)?),
            Dtype::F16 => Weights::F16(sections.view(&weight, dtype, panels, shape)?),
            Dtype::I8 => Weights::I8 {
                values: sections.view(&weight, dtype, panels, shape)?,
                scales: sections.finite(&format!("{name}.scale"), rows)?,
                sums: sections.view(&format!("{name}.sum"), Dtype::I32, Layout::Rows, rows)?,
                input_scale: match after_norm {
                    true => Some(sections.finite(&format!("{name}.input_scale"), &[k])?),
                    false => None,
                },
            },
            _ => return Err(field(format!("section {weight}"), "not a matrix's dtype")),
        };
        let linear = Linear {
            weights,
            bias: sections.finite(&format!("{name}.bias"), rows)?,
            n: rows.last().copied().unwrap_or(0),
            k,
        };
        linear
            .check_shape()
            .map_err(|e| field(format!("section {weight}"), e.to_string()))?;
        Ok(linear)
    }

    /// Makes the views that `apply` makes, so that it cannot fail later.
    fn check_shape(&self) -> Result<(), ShapeError> {
        let stack = self.bias.len() / self.n.max(1);
        (0..stack).try_for_each(|part| match &self.weights {
            Weights::F32(values) => self.packed_f32(values, part).map(drop),
            Weights::F16(values) => self.packed_f16(values, part).map(drop),
            Weights::I8 {
                values,
                scales,
                sums,
                ..
            } => self.packed_i8(values, scales, sums, part).map(drop),
        })
    }

    fn packed_f32<'a>(&self, all: &'a [f32], part: usize) -> Result<PackedF32<'a>, ShapeError> {
        let len = layout::packed_f32_len(self.n, self.k);
        PackedF32::new(self.n, self.k, &all[part * len..(part + 1) * len])
    }

    fn packed_f16<'a>(&self, all: &'a [f16], part: usize) -> Result<PackedF16<'a>, ShapeError> {
        let len = layout::packed_f32_len(self.n, self.k);
        PackedF16::new(self.n, self.k, &all[part * len..(part + 1) * len])
    }

    fn packed_i8<'a>(
        &self,
        values: &'a [i8],
        scales: &'a [f32],
        sums: &'a [i32],
        part: usize,
    ) -> Result<PackedI8<'a>, ShapeError> {
        let len = layout::packed_i8_len(self.n, self.k);
        let rows = part * self.n..(part + 1) * self.n;
        let values = &values[part * len..(part + 1) * len];
        PackedI8::new(self.n, self.k, values, &scales[rows.clone()], &sums[rows])
    }

    /// Number of outputs.
    pub fn out_features(&self) -> usize {
        self.n
    }

    /// Whether inputs are rounded to integers, products exact.
    pub fn is_int8(&self) -> bool {
        matches!(self.weights, Weights::I8 { .. })
    }

    /// `out[m, n] = act(x[m, k] * weight^T + bias)` with matrix `part` of the stack.
    #[allow(clippy::too_many_arguments)]
    pub fn apply(
        &self,
        kernels: &Kernels,
        part: usize,
        x: &[f32],
        precision: Precision,
        act: Activation,
        quantized: &mut Quantized,
        out: &mut [f32],
    ) {
        const LOADED: &str = "shapes were checked when the model was opened";
        let (m, k) = (x.len() / self.k, self.k);
        let bias = &self.bias[part * self.n..(part + 1) * self.n];
        let (a, epilogue) = (Rows { data: x, m, k }, Epilogue { bias, act });
        match &self.weights {
            Weights::F32(all) => {
                let b = self.packed_f32(all, part).expect(LOADED);
                kernels.gemm_f32(GemmFloat {
                    a,
                    b,
                    epilogue,
                    out,
                });
            }
            Weights::F16(all) => {
                let b = self.packed_f16(all, part).expect(LOADED);
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
                let weights = self.packed_i8(values, scales, sums, part).expect(LOADED);
                let scale = input_scale.as_deref();
                quantized.multiply(kernels, x, scale, precision, &weights, bias, act, out);
            }
        }
    }
}
