//! Operators that move elements and compute shapes.

use super::super::graph::{Attribute, Node};
use super::super::tensor::{
    Data, Tensor, axis, broadcast, broadcast_places, elements, strides, walk,
};
use super::Inputs;

pub(super) fn eval(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    match node.op.as_str() {
        "Shape" => shape(node, x.get(0)?),
        "Size" => Ok(Tensor::ints(&[], vec![x.get(0)?.len() as i64])),
        "Gather" => gather(node, x.get(0)?, x.get(1)?),
        "GatherElements" => gather_elements(node, x.get(0)?, x.get(1)?),
        "GatherND" => gather_nd(node, x.get(0)?, x.get(1)?),
        "Slice" => slice(node, x),
        "Squeeze" => squeeze(node, x),
        "Unsqueeze" => unsqueeze(node, x),
        "Concat" => concat(node, x),
        "Reshape" => x.get(0)?.with_shape(&reshape_target(node, x)?),
        "Flatten" => flatten(node, x.get(0)?),
        "Transpose" => transpose(node, x.get(0)?),
        "Expand" => expand(x.get(0)?, &dims(x.get(1)?)?),
        "Tile" => tile(x.get(0)?, &dims(x.get(1)?)?),
        "Range" => range(x),
        _ => constant_of_shape(node, x.get(0)?),
    }
}

/// A tensor of lengths.
fn dims(tensor: &Tensor) -> Result<Vec<usize>, String> {
    let values = tensor.to_ints()?;
    let dim = |&v: &i64| usize::try_from(v).map_err(|_| format!("{v} is no length"));
    values.iter().map(dim).collect()
}

/// A list of integers: input `i`, or the attribute in older versions.
pub(super) fn list(
    node: &Node,
    x: &Inputs,
    i: usize,
    name: &str,
) -> Result<Option<Vec<i64>>, String> {
    match x.optional(i) {
        Some(tensor) => Ok(Some(tensor.to_ints()?.to_vec())),
        None => Ok(node.ints(name)?.map(<[i64]>::to_vec)),
    }
}

fn shape(node: &Node, x: &Tensor) -> Result<Tensor, String> {
    let rank = x.shape.len() as i64;
    let place = |name, default| {
        let at = node.int(name, default)?;
        let from_front = if at < 0 { at.saturating_add(rank) } else { at };
        Ok::<_, String>(from_front.clamp(0, rank) as usize)
    };
    let (start, end) = (place("start", 0)?, place("end", rank)?);
    let dims = x.shape.get(start..end).unwrap_or_default();
    Ok(Tensor::ints(
        &[dims.len()],
        dims.iter().map(|&d| d as i64).collect(),
    ))
}

fn gather(node: &Node, x: &Tensor, indices: &Tensor) -> Result<Tensor, String> {
    let at = node.axis(0, x.shape.len())?;
    let dim = x.shape[at];
    let indices_of = |&i: &i64| index(i, dim);
    let picked: Vec<usize> = indices
        .to_ints()?
        .iter()
        .map(indices_of)
        .collect::<Result<_, _>>()?;
    let (before, after) = (&x.shape[..at], &x.shape[at + 1..]);
    let out = [before, &indices.shape, after].concat();
    elements(&out)?;
    let inner: usize = after.iter().product();
    let picked = &picked;
    let places = (0..before.iter().product::<usize>()).flat_map(move |outer| {
        picked.iter().flat_map(move |i| {
            let start = (outer * dim + i) * inner;
            start..start + inner
        })
    });
    Ok(x.gather(out, places))
}

/// Each element of `indices` is a place along one axis; its own place gives the others.
fn gather_elements(node: &Node, x: &Tensor, indices: &Tensor) -> Result<Tensor, String> {
    let at = node.axis(0, x.shape.len())?;
    let fits = indices.shape.len() == x.shape.len()
        && (0..x.shape.len()).all(|d| d == at || indices.shape[d] <= x.shape[d]);
    if !fits {
        let reason = format!("indices of shape {:?} into {:?}", indices.shape, x.shape);
        return Err(reason);
    }
    let (steps, own) = (strides(&x.shape), strides(&indices.shape));
    let mut places = Vec::with_capacity(indices.len());
    for (number, &i) in indices.to_ints()?.iter().enumerate() {
        let mut rest = number;
        let mut place = index(i, x.shape[at])? * steps[at];
        for (d, (&step, &inner)) in steps.iter().zip(&own).enumerate() {
            if d != at {
                place += rest / inner * step;
            }
            rest %= inner;
        }
        places.push(place);
    }
    Ok(x.gather(indices.shape.clone(), places.into_iter()))
}

fn index(i: i64, dim: usize) -> Result<usize, String> {
    let from_front = if i < 0 {
        i.saturating_add(dim as i64)
    } else {
        i
    };
    usize::try_from(from_front)
        .ok()
        .filter(|&i| i < dim)
        .ok_or_else(|| format!("index {i} of {dim}"))
}

fn gather_nd(node: &Node, x: &Tensor, indices: &Tensor) -> Result<Tensor, String> {
    node.only_without(&["batch_dims"])?;
    let (&depth, outer) = indices
        .shape
        .split_last()
        .ok_or("indices without a dimension")?;
    if depth == 0 || depth > x.shape.len() {
        return Err(format!("indices of {depth} numbers into {:?}", x.shape));
    }
    let out = [outer, &x.shape[depth..]].concat();
    elements(&out)?;
    let steps = strides(&x.shape);
    let inner: usize = x.shape[depth..].iter().product();
    let mut starts = Vec::new();
    for tuple in indices.to_ints()?.chunks_exact(depth) {
        let mut start = 0;
        for ((&i, &dim), &step) in tuple.iter().zip(&x.shape).zip(&steps) {
            start += index(i, dim)? * step;
        }
        starts.push(start);
    }
    let places = starts.into_iter().flat_map(|start| start..start + inner);
    Ok(x.gather(out, places))
}

fn slice(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let rank = data.shape.len();
    let starts = list(node, x, 1, "starts")?.ok_or("no starts")?;
    let ends = list(node, x, 2, "ends")?.ok_or("no ends")?;
    let axes = list(node, x, 3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(node, x, 4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("starts, ends, axes and steps of different lengths".into());
    }
    let own = strides(&data.shape);
    let (mut shape, mut start) = (data.shape.clone(), 0);
    let mut done = Vec::new();
    for (((&from, &to), &at), &step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
        let at = axis(at, rank)?;
        if done.contains(&at) {
            return Err("an axis twice".into());
        }
        done.push(at);
        if step != 1 {
            return Err(format!("a step of {step}"));
        }
        let dim = data.shape[at] as i64;
        let clamp = |i: i64| (if i < 0 { i.saturating_add(dim) } else { i }).clamp(0, dim);
        let (from, to) = (clamp(from), clamp(to));
        shape[at] = (to - from).max(0) as usize;
        start += from as usize * own[at];
    }
    let places = walk(&shape, start, &own);
    Ok(data.gather(shape, places))
}

fn squeeze(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let rank = data.shape.len();
    let dropped: Vec<usize> = match list(node, x, 1, "axes")? {
        Some(axes) => axes
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<_, _>>()?,
        None => (0..rank).filter(|&i| data.shape[i] == 1).collect(),
    };
    let kept = (0..rank).filter(|i| !dropped.contains(i));
    data.with_shape(&kept.map(|i| data.shape[i]).collect::<Vec<_>>())
}

fn unsqueeze(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let axes = list(node, x, 1, "axes")?.ok_or("no axes")?;
    let rank = data.shape.len() + axes.len();
    let added: Vec<usize> = axes
        .iter()
        .map(|&a| axis(a, rank))
        .collect::<Result<_, _>>()?;
    let mut old = data.shape.iter();
    let dim = |i| {
        if added.contains(&i) {
            Ok(1)
        } else {
            old.next().copied().ok_or("an axis twice")
        }
    };
    data.with_shape(&(0..rank).map(dim).collect::<Result<Vec<_>, _>>()?)
}

fn concat(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let first = x.get(0)?;
    let at = node.axis(0, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[at] = 0;
    let mut parts = Vec::new();
    for i in 0..x.len() {
        let part = x.get(i)?;
        let fits = part.shape.len() == shape.len()
            && (0..shape.len()).all(|i| i == at || part.shape[i] == shape[i]);
        if !fits || part.is_float() != first.is_float() {
            return Err(format!("{:?} does not join {:?}", part.shape, first.shape));
        }
        shape[at] += part.shape[at];
        parts.push(part);
    }
    let count = elements(&shape)?;
    let outer: usize = shape[..at].iter().product();
    fn join<T: Copy>(parts: &[(impl AsRef<[T]>, usize)], outer: usize, count: usize) -> Vec<T> {
        let mut out = Vec::with_capacity(count);
        for i in 0..outer {
            parts.iter().for_each(|(values, len)| {
                out.extend_from_slice(&values.as_ref()[i * len..(i + 1) * len])
            });
        }
        out
    }
    let len = |part: &Tensor| part.shape[at..].iter().product::<usize>();
    Ok(if first.is_float() {
        let parts: Vec<_> = parts.iter().map(|p| (p.to_floats(), len(p))).collect();
        Tensor::floats(&shape, join(&parts, outer, count))
    } else {
        let parts = parts.iter().map(|p| Ok((p.to_ints()?, len(p))));
        Tensor::ints(
            &shape,
            join(&parts.collect::<Result<Vec<_>, String>>()?, outer, count),
        )
    })
}

/// The shape for a `Reshape`, with 0 and -1 replaced.
fn reshape_target(node: &Node, x: &Inputs) -> Result<Vec<usize>, String> {
    let asked = x.get(1)?.to_ints()?;
    let data = x.get(0)?;
    resolve_shape(&asked, &data.shape, node.int("allowzero", 0)? != 0)
}

/// `asked` with 0 (the old length, unless `allow_zero`) and -1 (the remaining length) replaced.
pub(crate) fn resolve_shape(
    asked: &[i64],
    old: &[usize],
    allow_zero: bool,
) -> Result<Vec<usize>, String> {
    let wrong = || format!("{old:?} does not reshape to {asked:?}");
    let len: usize = old.iter().product();
    let mut shape = Vec::with_capacity(asked.len());
    for (i, &dim) in asked.iter().enumerate() {
        shape.push(match dim {
            0 if !allow_zero => *old.get(i).ok_or_else(wrong)?,
            -1 => 1,
            _ => usize::try_from(dim).map_err(|_| wrong())?,
        });
    }
    let known = shape
        .iter()
        .try_fold(1usize, |n, &dim| n.checked_mul(dim))
        .ok_or_else(wrong)?;
    let mut open = (0..asked.len()).filter(|&i| asked[i] == -1);
    match (open.next(), open.next()) {
        (None, _) if known == len => Ok(shape),
        (Some(i), None) if known > 0 && len.is_multiple_of(known) => {
            shape[i] = len / known;
            Ok(shape)
        }
        _ => Err(wrong()),
    }
}

fn flatten(node: &Node, x: &Tensor) -> Result<Tensor, String> {
    let rank = x.shape.len() as i64;
    let at = node.int("axis", 1)?;
    let at = if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let product = |dims: &[usize]| dims.iter().product::<usize>();
    x.with_shape(&[product(&x.shape[..at]), product(&x.shape[at..])])
}

/// The order of axes for a `Transpose`.
pub(crate) fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, String> {
    let order: Vec<usize> = match node.ints("perm")? {
        Some(perm) => perm
            .iter()
            .map(|&a| axis(a, rank))
            .collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect(),
    };
    if order.len() == rank && (0..rank).all(|i| order.contains(&i)) {
        Ok(order)
    } else {
        Err(format!("perm {order:?} of {rank} dimensions"))
    }
}

fn transpose(node: &Node, x: &Tensor) -> Result<Tensor, String> {
    Ok(permute(x, &permutation(node, x.shape.len())?))
}

/// Permutes the axes.
pub(super) fn permute(x: &Tensor, order: &[usize]) -> Tensor {
    let own = strides(&x.shape);
    let shape: Vec<usize> = order.iter().map(|&i| x.shape[i]).collect();
    let steps: Vec<usize> = order.iter().map(|&i| own[i]).collect();
    let places = walk(&shape, 0, &steps);
    x.gather(shape, places)
}

fn expand(x: &Tensor, dims: &[usize]) -> Result<Tensor, String> {
    // The shape is not a tensor's yet, so it must not raise the limit.
    elements(dims)?;
    let out = broadcast(&x.shape, dims)?;
    let places = broadcast_places(&x.shape, &out);
    Ok(x.gather(out, places))
}

fn tile(x: &Tensor, repeats: &[usize]) -> Result<Tensor, String> {
    if repeats.len() != x.shape.len() {
        return Err(format!("{repeats:?} repeats of {:?}", x.shape));
    }
    // As a broadcast: [n, d] to [1, n, 1, d] to [r, n, s, d] to [r n, s d].
    let pairs = |lead: &[usize]| -> Vec<usize> {
        lead.iter()
            .zip(&x.shape)
            .flat_map(|(&r, &d)| [r, d])
            .collect()
    };
    let (thin, wide) = (pairs(&vec![1; repeats.len()]), pairs(repeats));
    let tiled = expand(&x.with_shape(&thin)?, &wide)?;
    let dim = |(&r, &d): (&usize, &usize)| r * d;
    tiled.with_shape(&repeats.iter().zip(&x.shape).map(dim).collect::<Vec<_>>())
}

fn range(x: &Inputs) -> Result<Tensor, String> {
    let number = |i: usize| {
        let value = x.get(i)?.to_ints()?;
        value.first().copied().ok_or_else(|| "no number".to_owned())
    };
    let (start, limit, step) = (number(0)?, number(1)?, number(2)?);
    let span = limit.checked_sub(start).ok_or("out of bounds")?;
    if step < 1 {
        return Err(format!("a step of {step}"));
    }
    let len =
        usize::try_from(span.max(0) as u64 / step as u64 + u64::from(span.max(0) % step != 0));
    let len = len.map_err(|_| "too long")?;
    elements(&[len])?;
    Ok(Tensor::ints(
        &[len],
        (0..len as i64).map(|i| start + i * step).collect(),
    ))
}

fn constant_of_shape(node: &Node, x: &Tensor) -> Result<Tensor, String> {
    let shape = dims(x)?;
    let len = elements(&shape)?;
    let value = match node.attribute("value") {
        Some(Attribute::Tensor(stored)) => stored.tensor(),
        _ => Tensor::floats(&[1], vec![0.0]),
    };
    match value.data {
        Data::F32(v) if v.len() == 1 => Ok(Tensor::floats(&shape, vec![v[0]; len])),
        Data::I64(v) if v.len() == 1 => Ok(Tensor::ints(&shape, vec![v[0]; len])),
        _ => Err("value is no single float or integer".into()),
    }
}

pub(super) fn split(node: &Node, x: &Inputs) -> Result<Vec<Tensor>, String> {
    let data = x.get(0)?;
    let at = node.axis(0, data.shape.len())?;
    let dim = data.shape[at];
    let parts = node.outputs.len().max(1);
    let lengths = match list(node, x, 1, "split")? {
        Some(lengths) => lengths.iter().map(|&n| n.max(0) as usize).collect(),
        None if dim.is_multiple_of(parts) => vec![dim / parts; parts],
        None => return Err(format!("{dim} does not split into {parts}")),
    };
    let own = strides(&data.shape);
    let mut start = 0usize;
    let mut outputs = Vec::new();
    for len in lengths {
        if start.checked_add(len).is_none_or(|end| end > dim) {
            return Err(format!("parts beyond {dim}"));
        }
        let mut shape = data.shape.clone();
        shape[at] = len;
        let places = walk(&shape, start * own[at], &own);
        outputs.push(data.gather(shape, places));
        start += len;
    }
    Ok(outputs)
}
