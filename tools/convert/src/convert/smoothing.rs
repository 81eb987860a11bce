//! Evens out the channels of a layer norm for the int8 weights after it.

use super::tensors::read;
use crate::error::Error;
use crate::source::TensorSource;

/// Factors for a layer norm's outputs, applied before a row is rounded to 8 bits with one scale.
///
/// A normalised value rarely exceeds 3, so channel `j` reaches about `3 |weight_j| + |bias_j|`. In
/// BERT a few channels reach several times as far as the others and would determine the scale
/// alone. Their factor brings them down to the median. The matching weights are divided by the same
/// factor; they grow, but hardly beyond the largest weight of their row. (Xiao et al.,
/// "SmoothQuant", arXiv:2211.10438, with the norm's own parameters instead of a calibration run.)
pub(super) fn input_scale(
    source: &mut dyn TensorSource,
    norm: &str,
    k: usize,
) -> Result<Vec<f32>, Error> {
    let weight = read(source, &format!("{norm}.weight"), k)?;
    let bias = read(source, &format!("{norm}.bias"), k)?;
    let reach = |(w, b): (&f32, &f32)| 3.0 * w.abs() + b.abs();
    let reach: Vec<f32> = weight.iter().zip(&bias).map(reach).collect();
    let mut sorted = reach.clone();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[k / 2];
    // A norm with mostly zero weights has a median of 0, which gives no factor.
    let factor = |&reach: &f32| {
        if reach > median && median > 0.0 {
            (median / reach).max(MIN_INPUT_SCALE)
        } else {
            1.0
        }
    };
    Ok(reach.iter().map(factor).collect())
}

/// Limits how far a broken norm can enlarge weights.
const MIN_INPUT_SCALE: f32 = 1.0 / 64.0;

/// Divides each column of a matrix by its factor.
pub(super) fn divide_columns(values: &mut [f32], scale: &[f32]) {
    for row in values.chunks_exact_mut(scale.len()) {
        row.iter_mut().zip(scale).for_each(|(w, s)| *w /= s);
    }
}
