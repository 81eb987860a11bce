//! Writes weights to sections: quantises, packs, copies.

use bytemuck::Pod;
use half::f16;
use lanerank::format::directory::Dtype;
use lanerank::format::directory::GROUP;
use lanerank::format::write::Draft;
use lanerank::kernels::layout;

use super::integers::write_int8_panels;
use crate::error::Error;

/// Writes matrix `part` of a stack, `values[n, k]` row-major, in panels. For int8, also its scales
/// and sums.
pub(super) fn write_panels(
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
            write_int8_panels(draft, name, part, &quantized.values, &quantized.scales, k)
        }
    }
}

/// Writes an int8 table row-major, with an f16 scale per [`GROUP`] of a row. The maximum of 32
/// values is a third less than that of 384, and so is the rounding error.
pub(super) fn write_groups(
    draft: &mut Draft,
    name: &str,
    values: &[f32],
    width: usize,
) -> Result<(), Error> {
    let (mut quantized, mut scales) = (Vec::with_capacity(values.len()), Vec::new());
    for group in values.chunks_exact(width).flat_map(|row| row.chunks(GROUP)) {
        let largest = group.iter().fold(0f32, |a, w| a.max(w.abs()));
        let scale = to_f16(&format!("{name}.scale"), &[largest / 127.0])?[0];
        let step = scale.to_f32();
        // A tiny scale can round to 0 in f16; then all values are 0.
        let round = |w: &f32| {
            if step > 0.0 {
                (w / step).round_ties_even().clamp(-127.0, 127.0) as i8
            } else {
                0
            }
        };
        quantized.extend(group.iter().map(round));
        scales.push(scale);
    }
    write_part(draft, &format!("{name}.weight"), 0, &quantized)?;
    write_part(draft, &format!("{name}.scale"), 0, &scales)
}

/// Writes a table row-major. For int8, also a scale per row.
pub(super) fn write_rows(
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

/// Copies `values` to position `part` of a section that is a stack of pieces of this length.
pub(super) fn write_part<T: Pod>(
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
