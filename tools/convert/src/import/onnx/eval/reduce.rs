//! Operators along axes, and layer norms.

use super::super::graph::Node;
use super::super::tensor::{Tensor, axis, elements, strides};
use super::Inputs;
use super::elementwise::binary;
use super::shape::{list, permute};

/// The axes of a reduction.
pub(crate) fn axes(node: &Node, x: &Inputs, rank: usize) -> Result<Vec<usize>, String> {
    match list(node, x, 1, "axes")? {
        Some(axes) if !axes.is_empty() => axes.iter().map(|&a| axis(a, rank)).collect(),
        _ if node.int("noop_with_empty_axes", 0)? != 0 => Err("noop_with_empty_axes".into()),
        _ => Ok((0..rank).collect()),
    }
}

pub(super) fn reduce(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let rank = data.shape.len();
    let reduced = axes(node, x, rank)?;
    let kept: Vec<usize> = (0..rank).filter(|i| !reduced.contains(i)).collect();
    let order: Vec<usize> = kept
        .iter()
        .copied()
        .chain((0..rank).filter(|i| reduced.contains(i)))
        .collect();
    let moved = permute(data, &order);
    let len: usize = order[kept.len()..].iter().map(|&i| data.shape[i]).product();
    if len == 0 {
        return Err("a reduction over nothing".into());
    }
    let shape: Vec<usize> = match node.int("keepdims", 1)? {
        0 => kept.iter().map(|&i| data.shape[i]).collect(),
        _ => (0..rank)
            .map(|i| {
                if reduced.contains(&i) {
                    1
                } else {
                    data.shape[i]
                }
            })
            .collect(),
    };
    if !data.is_float() {
        let f: fn(&[i64]) -> i64 = match node.op.as_str() {
            "ReduceSum" => |v| v.iter().fold(0, |a, &b| a.wrapping_add(b)),
            "ReduceProd" => |v| v.iter().fold(1, |a, &b| a.wrapping_mul(b)),
            "ReduceMax" => |v| v.iter().fold(i64::MIN, |a, &b| a.max(b)),
            "ReduceMin" => |v| v.iter().fold(i64::MAX, |a, &b| a.min(b)),
            _ => return Err("this reduction takes no integers".into()),
        };
        return Ok(Tensor::ints(
            &shape,
            moved.to_ints()?.chunks_exact(len).map(f).collect(),
        ));
    }
    let f: fn(&[f32]) -> f32 = match node.op.as_str() {
        "ReduceMean" => |v| (v.iter().map(|&x| f64::from(x)).sum::<f64>() / v.len() as f64) as f32,
        "ReduceSum" => |v| v.iter().map(|&x| f64::from(x)).sum::<f64>() as f32,
        "ReduceProd" => |v| v.iter().product(),
        "ReduceMax" => |v| v.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        "ReduceMin" => |v| v.iter().copied().fold(f32::INFINITY, f32::min),
        _ => |v| {
            v.iter()
                .map(|&x| f64::from(x) * f64::from(x))
                .sum::<f64>()
                .sqrt() as f32
        },
    };
    Ok(Tensor::floats(
        &shape,
        moved.to_floats().chunks_exact(len).map(f).collect(),
    ))
}

pub(super) fn cumsum(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    node.only_without(&["exclusive", "reverse"])?;
    let data = x.get(0)?;
    let at = x.get(1)?.to_ints()?;
    let at = axis(*at.first().ok_or("no axis")?, data.shape.len())?;
    let step = strides(&data.shape)[at];
    let mut values = data.to_ints()?.to_vec();
    for i in 0..values.len() {
        if !(i / step).is_multiple_of(data.shape[at]) {
            values[i] = values[i].wrapping_add(values[i - step]);
        }
    }
    Ok(Tensor::ints(&data.shape, values))
}

/// Whether a softmax runs over the last axis. Before version 13 it ran over all axes from the given
/// one on.
pub(crate) fn softmax_is_last(node: &Node, rank: usize) -> Result<bool, String> {
    let default = if node.opset < 13 { 1 } else { -1 };
    Ok(node.axis(default, rank)? + 1 == rank)
}

pub(super) fn softmax(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    if softmax_is_last(node, data.shape.len())? {
        Ok(softmax_rows(data))
    } else {
        Err("a softmax over an axis other than the last".into())
    }
}

/// Softmax over the last axis.
pub(super) fn softmax_rows(x: &Tensor) -> Tensor {
    let mut values = x.to_floats().to_vec();
    for row in values.chunks_exact_mut(x.shape.last().copied().unwrap_or(1).max(1)) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|v| *v = (*v - max).exp());
        let sum: f64 = row.iter().map(|&v| f64::from(v)).sum();
        row.iter_mut()
            .for_each(|v| *v = (f64::from(*v) / sum) as f32);
    }
    Tensor::floats(&x.shape, values)
}

/// Layer norm over the last axis.
pub(super) fn norm_rows(
    x: &Tensor,
    scale: &Tensor,
    bias: Option<&Tensor>,
    eps: f32,
) -> Result<Tensor, String> {
    let width = x.shape.last().copied().unwrap_or(0);
    let (scale, zero) = (scale.to_floats(), vec![0.0; width].into());
    let bias = bias.map_or(zero, Tensor::to_floats);
    if width == 0 || scale.len() != width || bias.len() != width {
        return Err(format!(
            "scale and bias of {} and {} for width {width}",
            scale.len(),
            bias.len()
        ));
    }
    let mut values = x.to_floats().to_vec();
    for row in values.chunks_exact_mut(width) {
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
        let square = |&v: &f32| (f64::from(v) - mean).powi(2);
        let variance = row.iter().map(square).sum::<f64>() / width as f64;
        let factor = (variance + f64::from(eps)).sqrt().recip();
        for ((v, &s), &b) in row.iter_mut().zip(&*scale).zip(&*bias) {
            *v = ((f64::from(*v) - mean) * factor) as f32 * s + b;
        }
    }
    Ok(Tensor::floats(&x.shape, values))
}

pub(super) fn layer_norm(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    if node.axis(-1, data.shape.len())? + 1 != data.shape.len() {
        return Err("a norm over more than the last axis".into());
    }
    norm_rows(data, x.get(1)?, x.optional(2), node.float("epsilon", 1e-5)?)
}

/// Norm, mean, inverse deviation (both empty), sum.
pub(super) fn skip_layer_norm(node: &Node, x: &Inputs) -> Result<Vec<Tensor>, String> {
    let mut sum = binary("Add", x.get(0)?, x.get(1)?)?;
    if let Some(bias) = x.optional(4) {
        sum = binary("Add", &sum, bias)?;
    }
    let norm = norm_rows(
        &sum,
        x.get(2)?,
        x.optional(3),
        node.float("epsilon", 1e-12)?,
    )?;
    Ok(vec![
        norm,
        Tensor::floats(&[0], vec![]),
        Tensor::floats(&[0], vec![]),
        sum,
    ])
}

/// Norm, number of tokens of each sequence, sum.
pub(super) fn embed_layer_norm(node: &Node, x: &Inputs) -> Result<Vec<Tensor>, String> {
    let tables = [x.get(2)?, x.get(3)?, x.get(4)?];
    embed(
        node,
        x,
        tables,
        x.get(5)?,
        x.get(6)?,
        x.optional(7),
        x.optional(8),
    )
}

/// [`embed_layer_norm`] after its inputs are found.
pub(super) fn embed(
    node: &Node,
    x: &Inputs,
    [word, position, segment]: [&Tensor; 3],
    scale: &Tensor,
    bias: &Tensor,
    mask: Option<&Tensor>,
    positions: Option<&Tensor>,
) -> Result<Vec<Tensor>, String> {
    let (ids, types) = (x.get(0)?, x.get(1)?);
    let &[batch, len] = &ids.shape[..] else {
        return Err(format!("token ids of shape {:?}", ids.shape));
    };
    let counted = || {
        Tensor::ints(
            &[batch, len],
            (0..batch * len).map(|i| (i % len) as i64).collect(),
        )
    };
    let positions = positions.cloned().unwrap_or_else(counted);
    let mut sum = rows(word, ids)?;
    for (table, ids) in [(position, &positions), (segment, types)] {
        sum = binary("Add", &sum, &rows(table, ids)?)?;
    }
    let norm = norm_rows(&sum, scale, Some(bias), node.float("epsilon", 1e-12)?)?;
    let lengths = match mask {
        Some(mask) if len > 0 => mask
            .to_ints()?
            .chunks_exact(len)
            .map(|row| row.iter().sum())
            .collect(),
        _ => vec![0; batch],
    };
    Ok(vec![norm, Tensor::ints(&[lengths.len()], lengths), sum])
}

/// The rows of a table for `ids`.
fn rows(table: &Tensor, ids: &Tensor) -> Result<Tensor, String> {
    let &[count, width] = &table.shape[..] else {
        return Err(format!("a table of shape {:?}", table.shape));
    };
    let shape = [&ids.shape[..], &[width]].concat();
    elements(&shape)?;
    let row = |&id: &i64| {
        let id = usize::try_from(id).ok().filter(|&id| id < count);
        id.ok_or_else(|| format!("a row beyond the table's {count}"))
    };
    let ids = ids.to_ints()?;
    let picked = ids.iter().map(row).collect::<Result<Vec<usize>, _>>()?;
    let places = picked.iter().flat_map(|id| id * width..(id + 1) * width);
    Ok(table.gather(shape, places))
}
