//! Tables of which single rows are wanted: embeddings, the classifier.

use half::f16;
use lanerank_kernels::Kernels;

use crate::Error;
use crate::format::directory::{Dtype, Layout};
use crate::format::header::field;
use crate::format::sections::Sections;
use crate::format::storage::View;

enum Values {
    F32(View<f32>),
    F16(View<f16>),
    I8 { values: View<i8>, scales: View<f32> },
}

/// A row-major table `[rows, width]`; int8 tables have a scale a row.
pub struct Table {
    values: Values,
    width: usize,
}

impl Table {
    /// Takes `{name}.weight`, and for int8 `{name}.scale`.
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
                scales: sections.finite(&format!("{name}.scale"), &[rows])?,
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
            Values::I8 { values, scales } => {
                kernels.add_scaled_i8(&values[range], scales[row], out);
            }
        }
    }
}
