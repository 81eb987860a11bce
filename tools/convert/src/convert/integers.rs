//! Keeps the integers of sources that are already quantised.

use lanerank::format::write::Draft;
use lanerank::kernels::layout;

use super::matrix::write_part;
use crate::error::Error;
use crate::source::IntegerRows;

/// Rows of an int8 file: one scale per row, values from -127 to 127.
#[derive(Debug, Default)]
pub(super) struct KeptRows {
    pub values: Vec<i8>,
    pub scales: Vec<f32>,
    /// Rows that did not fit and were requantised.
    requantized: usize,
}

impl KeptRows {
    /// Adds a source's rows. Keeps those that fit and requantises the others.
    ///
    /// # Errors
    /// Where a scale is not a finite number. `name` is the tensor.
    pub(super) fn add(&mut self, rows: &IntegerRows, name: &str) -> Result<(), Error> {
        let count = rows.scales.len();
        let width = rows.values.len() / count.max(1);
        for (row, &scale) in rows.values.chunks_exact(width.max(1)).zip(&rows.scales) {
            if !scale.is_finite() {
                return Err(Error::Tensor {
                    name: name.into(),
                    reason: format!("a scale is {scale}"),
                });
            }
            let fits = |value: &i16| (-127..=127).contains(value);
            if row.iter().all(fits) && scale >= 0.0 {
                self.values.extend(row.iter().map(|&value| value as i8));
                self.scales.push(scale);
                continue;
            }
            let floats: Vec<f32> = row.iter().map(|&v| f32::from(v) * scale).collect();
            let quantized = layout::quantize_weights(&floats, 1, width);
            self.values.extend(quantized.values);
            self.scales.extend(quantized.scales);
            self.requantized += 1;
        }
        Ok(())
    }

    /// What happened to the rows, in a word or two.
    pub(super) fn summary(&self) -> String {
        match self.requantized {
            0 => "kept".into(),
            all if all == self.scales.len() => "requantized".into(),
            some => format!(
                "kept but for {some} of {} rows, requantized",
                self.scales.len()
            ),
        }
    }
}

/// Writes matrix `part` of a stack, `values[n, k]` row-major, in panels, with its scales and sums.
pub(super) fn write_int8_panels(
    draft: &mut Draft,
    name: &str,
    part: usize,
    values: &[i8],
    scales: &[f32],
    k: usize,
) -> Result<(), Error> {
    let n = scales.len();
    let sums = layout::column_sums(values, n, k);
    write_part(
        draft,
        &format!("{name}.weight"),
        part,
        &layout::pack_i8(values, n, k),
    )?;
    write_part(draft, &format!("{name}.scale"), part, scales)?;
    write_part(draft, &format!("{name}.sum"), part, &sums)
}
