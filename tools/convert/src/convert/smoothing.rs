//! Int8 weights behind a layer norm: evening out how wide the norm's channels are.

use super::tensors::read;
use crate::error::Error;
use crate::source::TensorSource;

/// What a layer norm's outputs are multiplied by before they are rounded to 8 bits in one range a row.
///
/// A normalised value is rarely beyond 3, so channel `j` reaches about `3 |weight_j| + |bias_j|`. In
/// BERT a few channels reach several times as far as the rest and would take the range for themselves.
/// Those are brought down to the median; the weights that meet them, divided by the same factor, grow,
/// but hardly beyond the largest of their row. (Xiao et al., "SmoothQuant", arXiv:2211.10438, with the
/// norm's own numbers in place of a calibration run.)
pub fn input_scale(source: &mut dyn TensorSource, norm: &str, k: usize) -> Result<Vec<f32>, Error> {
    let weight = read(source, &format!("{norm}.weight"), k)?;
    let bias = read(source, &format!("{norm}.bias"), k)?;
    let reach = |(w, b): (&f32, &f32)| 3.0 * w.abs() + b.abs();
    let reach: Vec<f32> = weight.iter().zip(&bias).map(reach).collect();
    let mut sorted = reach.clone();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[k / 2];
    // Half-dead norms have a median of 0, from which nothing can be learnt.
    let factor = |&reach: &f32| match reach > median && median > 0.0 {
        true => (median / reach).max(MIN_INPUT_SCALE),
        false => 1.0,
    };
    Ok(reach.iter().map(factor).collect())
}

/// Keeps a broken norm from blowing weights up.
const MIN_INPUT_SCALE: f32 = 1.0 / 64.0;

/// Divides each column of a matrix by its factor.
pub fn divide_columns(values: &mut [f32], scale: &[f32]) {
    for row in values.chunks_exact_mut(scale.len()) {
        row.iter_mut().zip(scale).for_each(|(w, s)| *w /= s);
    }
}
