//! Tables of which single rows are wanted: embeddings, the classifier.

use half::f16;
use lanerank_kernels::Kernels;

use crate::Error;
use crate::format::directory::{Dtype, GROUP, Layout};
use crate::format::header::field;
use crate::format::sections::Sections;
use crate::format::storage::View;

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

/// A row-major table `[rows, width]`; int8 tables have a scale a row, or one a [`GROUP`].
pub struct Table {
    values: Values,
    width: usize,
}

impl Table {
    /// Takes `{name}.weight`, and for int8 `{name}.scale`, f32 for rows or f16 for groups.
    pub(crate) fn load(
        sections: &mut Sections<'_>,
        name: &str,
        rows: usize,
        width: usize,
    ) -> Result<Self, Error> {
        let weight = format!("{name}.weight");
        let dtype = sections.dtype(&weight)?;
        let shape = [rows, width];
        let values = match dtype {
            Dtype::F32 => Values::F32(sections.view(&weight, dtype, Layout::Rows, &shape)?),
            Dtype::F16 => Values::F16(sections.view(&weight, dtype, Layout::Rows, &shape)?),
            Dtype::I8 => Values::I8 {
                values: sections.view(&weight, dtype, Layout::Rows, &shape)?,
                scales: load_scales(sections, &format!("{name}.scale"), rows, width)?,
            },
            _ => return Err(field(format!("section {weight}"), "not a table's dtype")),
        };
        Ok(Table { values, width })
    }

    /// `out += row`.
    pub fn add_row(&self, kernels: &Kernels, row: usize, out: &mut [f32]) {
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

fn load_scales(
    sections: &mut Sections<'_>,
    name: &str,
    rows: usize,
    width: usize,
) -> Result<Scales, Error> {
    if sections.dtype(name)? != Dtype::F16 {
        return Ok(Scales::Rows(sections.finite(name, &[rows])?));
    }
    let shape = [rows, width.div_ceil(GROUP)];
    let scales: View<f16> = sections.view(name, Dtype::F16, Layout::Rows, &shape)?;
    match scales.iter().all(|scale| scale.is_finite()) {
        true => Ok(Scales::Groups(scales)),
        false => Err(field(format!("section {name}"), "holds NaN or infinity")),
    }
}
