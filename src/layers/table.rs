//! Lookup tables read one row at a time: embeddings, the classifier.

use half::f16;
use lanerank_kernels::Kernels;

use crate::error::Error;
use crate::format::directory::{Dtype, GROUP, Layout};
use crate::format::sections::Sections;
use crate::format::storage::View;
use crate::schema::Weight;

enum Values {
    F32(View<f32>),
    F16(View<f16>),
    I8 { values: View<i8>, scales: Scales },
}

enum Scales {
    /// `[rows]`
    Rows(View<f32>),
    /// `[rows, ceil(width / GROUP)]`
    Groups(View<f16>),
}

/// A row-major table `[rows, width]`. An int8 table has a scale per row, or one per [`GROUP`].
pub(crate) struct Table {
    values: Values,
    width: usize,
}

impl Table {
    /// Takes `.weight`, and for int8 `.scale`: f32 for rows or f16 for groups.
    pub(super) fn load(sections: &mut Sections<'_>, weight: &Weight) -> Result<Self, Error> {
        let name = format!("{}.weight", weight.name);
        let shape = &weight.shape[..];
        let width = shape.last().copied().unwrap_or(0);
        let dtype = sections.dtype(&name)?;
        let values = match dtype {
            Dtype::F32 => Values::F32(sections.view(&name, dtype, Layout::Rows, shape)?),
            Dtype::F16 => Values::F16(sections.view(&name, dtype, Layout::Rows, shape)?),
            Dtype::I8 => Values::I8 {
                values: sections.view(&name, dtype, Layout::Rows, shape)?,
                scales: Scales::load(sections, weight, width)?,
            },
            _ => return Err(Error::section(&name, "not a table's dtype")),
        };
        Ok(Table { values, width })
    }

    /// `out += row`.
    pub(crate) fn add_row(&self, kernels: &Kernels, row: usize, out: &mut [f32]) {
        let range = row * self.width..(row + 1) * self.width;
        match &self.values {
            Values::F32(values) => {
                for (out, value) in out.iter_mut().zip(&values[range]) {
                    *out += value;
                }
            }
            Values::F16(values) => {
                for (out, value) in out.iter_mut().zip(&values[range]) {
                    *out += value.to_f32();
                }
            }
            Values::I8 { values, scales } => match scales {
                Scales::Rows(scales) => kernels.add_scaled_i8(&values[range], scales[row], out),
                Scales::Groups(scales) => {
                    let groups = self.width.div_ceil(GROUP);
                    let scales = &scales[row * groups..(row + 1) * groups];
                    let parts = values[range].chunks(GROUP).zip(out.chunks_mut(GROUP));
                    for ((values, out), scale) in parts.zip(scales) {
                        kernels.add_scaled_i8(values, scale.to_f32(), out);
                    }
                }
            },
        }
    }
}

impl Scales {
    fn load(sections: &mut Sections<'_>, weight: &Weight, width: usize) -> Result<Self, Error> {
        let name = format!("{}.scale", weight.name);
        let rows = weight.shape[0];
        if sections.dtype(&name)? != Dtype::F16 {
            return Ok(Scales::Rows(sections.finite(&name, &[rows])?));
        }
        let shape = [rows, width.div_ceil(GROUP)];
        let scales: View<f16> = sections.view(&name, Dtype::F16, Layout::Rows, &shape)?;
        if scales.iter().all(|scale| scale.is_finite()) {
            Ok(Scales::Groups(scales))
        } else {
            Err(Error::section(&name, "holds NaN or infinity"))
        }
    }
}
