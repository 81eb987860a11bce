//! Weights into sections: quantise, pack, copy.

use bytemuck::Pod;
use half::f16;
use lanerank_kernels::layout;

use crate::Error;
use crate::format::directory::Dtype;
use crate::format::write::Draft;

/// Writes part `part` of a stack of matrices, `values[n, k]` row-major, in panels; for int8 its
/// scales and sums too.
pub fn write_panels(
    draft: &mut Draft,
    name: &str,
    dtype: Dtype,
    part: usize,
    values: &[f32],
    n: usize,
    k: usize,
) -> Result<(), Error> {
    let weight = format!("{name}.weight");
    match dtype {
        Dtype::F32 => write_part(draft, &weight, part, &layout::pack_f32(values, n, k)),
        Dtype::F16 => {
            let halves = to_f16(&weight, values)?;
            write_part(draft, &weight, part, &layout::pack_f16(&halves, n, k))
        }
        _ => {
            let quantized = layout::quantize_weights(values, n, k);
            let sums = layout::column_sums(&quantized.values, n, k);
            let packed = layout::pack_i8(&quantized.values, n, k);
            write_part(draft, &weight, part, &packed)?;
            write_part(draft, &format!("{name}.scale"), part, &quantized.scales)?;
            write_part(draft, &format!("{name}.sum"), part, &sums)
        }
    }
}

/// Writes a table row-major; for int8 a scale a row too.
pub fn write_rows(
    draft: &mut Draft,
    name: &str,
    dtype: Dtype,
    values: &[f32],
    rows: usize,
    width: usize,
) -> Result<(), Error> {
    let weight = format!("{name}.weight");
    match dtype {
        Dtype::F32 => write_part(draft, &weight, 0, values),
        Dtype::F16 => write_part(draft, &weight, 0, &to_f16(&weight, values)?),
        _ => {
            let quantized = layout::quantize_weights(values, rows, width);
            write_part(draft, &weight, 0, &quantized.values)?;
            write_part(draft, &format!("{name}.scale"), 0, &quantized.scales)
        }
    }
}

fn to_f16(name: &str, values: &[f32]) -> Result<Vec<f16>, Error> {
    let halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
    match halves.iter().position(|h| !h.is_finite()) {
        Some(i) => Err(Error::Tensor {
            name: name.into(),
            reason: format!("{} does not fit f16; keep this weight f32", values[i]),
        }),
        None => Ok(halves),
    }
}

/// Copies `values` to place `part` of a section that is a stack of as long pieces.
pub fn write_part<T: Pod>(
    draft: &mut Draft,
    name: &str,
    part: usize,
    values: &[T],
) -> Result<(), Error> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    let section = draft.section_mut(name)?;
    let range = part * bytes.len()..(part + 1) * bytes.len();
    match section.get_mut(range) {
        Some(place) => place.copy_from_slice(bytes),
        None => {
            return Err(Error::Argument(format!(
                "section {name} has no room for part {part}"
            )));
        }
    }
    Ok(())
}
