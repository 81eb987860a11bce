//! Reads a source's tensors and checks them.

use crate::error::Error;
use crate::source::TensorSource;

/// Refuses a tensor that is missing or has another shape.
pub(super) fn check_shape(
    source: &dyn TensorSource,
    name: &str,
    expected: &[usize],
) -> Result<(), Error> {
    let reason = match source.shape(name) {
        Some(shape) if shape == expected => return Ok(()),
        Some(shape) => format!("has shape {shape:?}, the config asks for {expected:?}"),
        None => "missing from the source".into(),
    };
    Err(Error::Tensor {
        name: name.into(),
        reason,
    })
}

/// Reads a tensor. Its length must match, and its values must be finite.
pub(super) fn read(
    source: &mut dyn TensorSource,
    name: &str,
    len: usize,
) -> Result<Vec<f32>, Error> {
    let values = source.read(name)?;
    let reason = if values.len() != len {
        format!("{} values, not {len}", values.len())
    } else if let Some(i) = values.iter().position(|v| !v.is_finite()) {
        format!("value {i} is {}", values[i])
    } else {
        return Ok(values);
    };
    Err(Error::Tensor {
        name: name.into(),
        reason,
    })
}
