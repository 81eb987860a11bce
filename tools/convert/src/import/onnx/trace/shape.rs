//! Rules for operators that move elements.

use super::super::eval::{permutation, resolve_shape};
use super::super::graph::Node;
use super::super::matrix::Matrix;
use super::super::probe::Feed;
use super::super::tensor::{Tensor, elements};
use super::super::terms::{Axis, Id, SPLIT, Term};
use super::{Operands, Trace, Value, stand_in};

/// `Gather` from a table: the meaning of the indices tells which embeddings these are.
pub(super) fn rows_of_table(
    t: &mut Trace,
    table: Matrix,
    x: &Operands,
) -> Result<Vec<Value>, String> {
    let indices = x.known(1)?;
    let shape = [&indices.shape[..], &table.shape()[1..]].concat();
    elements(&shape)?;
    let (mut word, mut position, mut segment) = (None, None, None);
    let probe = t.probe;
    let ints = indices.to_ints()?;
    if probe.is_per_token(&indices, &probe.ids) {
        word = Some(table);
    } else if probe.is_per_token(&indices, &probe.types) {
        t.reads_types = true;
        segment = Some(table);
    } else if probe.are_positions(&indices) {
        position = Some(table);
    } else if ints.iter().all(|&i| i == 0) && !t.feeds(Feed::Types) {
        segment = Some(table);
    } else if probe.are_shifted_positions(&indices) {
        return Err(
            "positions start at 2: RoBERTa is not supported, and XLM-RoBERTa is read from \
             safetensors and pytorch_model.bin only; use those, or a BERT cross-encoder"
                .into(),
        );
    } else {
        return Err(
            "selects rows by something other than token ids, positions or token types".into(),
        );
    }
    let term = Term::Embeddings {
        word,
        position,
        segment,
    };
    Ok(vec![t.put(term, &shape)])
}

/// A tensor of a shape whose elements are their indices along axis 1.
fn tokens(shape: &[usize]) -> Result<Tensor, String> {
    let &[_, len, width] = shape else {
        return Err(format!("takes part of a value of shape {shape:?}"));
    };
    let values = (0..elements(shape)?).map(|i| (i / width.max(1) % len) as i64);
    Ok(Tensor::ints(shape, values.collect()))
}

/// The first tokens, or all.
fn part(t: &mut Trace, id: Id, shape: &[usize], picked: &Tensor) -> Result<Value, String> {
    if picked.shape == shape {
        return Ok(Value::Term {
            id,
            shape: shape.to_vec(),
        });
    }
    let firsts = picked.to_ints()?.iter().all(|&token| token == 0);
    let expected = [shape[0] * shape[2]];
    if firsts && picked.len() == expected[0] {
        Ok(t.put(Term::First(id), &picked.shape))
    } else {
        Err("selects tokens other than the first".into())
    }
}

pub(super) fn gather(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    if node.axis(0, shape.len())? != 1 {
        return Err("slices an axis other than the tokens'".into());
    }
    let indices = x.constant(1)?;
    let picked = t
        .evaluator
        .eval(node, &[Some(tokens(shape)?), Some(indices)])?;
    part(t, id, shape, &picked[0])
}

pub(super) fn slice(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    let mut inputs = vec![Some(tokens(shape)?)];
    for i in 1..x.0.len() {
        inputs.push(x.optional(i).map(|_| x.known(i)).transpose()?);
    }
    let picked = t.evaluator.eval(node, &inputs)?;
    part(t, id, shape, &picked[0])
}

pub(super) fn expand(x: &Operands) -> Result<Value, String> {
    let (_, shape) = x.term(0)?;
    let asked = x.known(1)?.to_ints()?;
    // An expansion cannot shrink: to a shape that is not longer it changes nothing.
    let fits = |(&asked, &own): (&i64, &usize)| asked == 1 || asked == own as i64;
    if asked.len() == shape.len() && asked.iter().zip(shape).all(fits) {
        x.get(0).cloned()
    } else {
        Err(format!("expands {shape:?} to {asked:?}"))
    }
}

/// Axis lengths of a value split into heads.
fn lengths(
    t: &Trace,
    heads: usize,
    shape: &[usize],
) -> Result<impl Fn(Axis) -> usize + use<>, String> {
    let (batch, len) = (t.probe.batch, t.probe.len);
    let rest = batch * len * heads;
    let elements: usize = shape.iter().product();
    if rest == 0 || !elements.is_multiple_of(rest) {
        return Err(format!("{shape:?} does not split into {heads} heads"));
    }
    let dim = elements / rest;
    Ok(move |axis| match axis {
        Axis::Batch => batch,
        Axis::Token => len,
        Axis::Head => heads,
        Axis::Dim => dim,
    })
}

/// The axes in `order` that make up each dimension of `shape`.
fn groups(
    order: &[Axis; 4],
    length: impl Fn(Axis) -> usize,
    shape: &[usize],
) -> Option<Vec<Vec<Axis>>> {
    let mut axes = order.iter().copied().peekable();
    let mut groups: Vec<Vec<Axis>> = Vec::new();
    for &dim in shape {
        let (mut product, mut group) = (1, Vec::new());
        while let Some(axis) =
            axes.next_if(|&axis| product < dim || (group.is_empty() && length(axis) == 1))
        {
            product *= length(axis);
            group.push(axis);
        }
        if product != dim {
            return None;
        }
        groups.push(group);
    }
    match axes.peek() {
        None => Some(groups),
        Some(_) => None,
    }
}

pub(super) fn transpose(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    let permutation = permutation(node, shape.len())?;
    let Term::Heads {
        x: base,
        heads,
        order,
        scale,
    } = t.terms.get(id).clone()
    else {
        return Err("swaps axes of a value that is not split into heads".into());
    };
    let groups = groups(&order, lengths(t, heads, shape)?, shape)
        .ok_or("swaps axes that cut through heads")?;
    let moved: Vec<Axis> = permutation
        .iter()
        .flat_map(|&i| groups[i].iter().copied())
        .collect();
    let order = moved.try_into().map_err(|_| "loses an axis")?;
    let shape: Vec<usize> = permutation.iter().map(|&i| shape[i]).collect();
    Ok(t.put(
        Term::Heads {
            x: base,
            heads,
            order,
            scale,
        },
        &shape,
    ))
}

/// `Reshape` and similar operators.
pub(super) fn reshape(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    let new = match node.op.as_str() {
        "Reshape" => {
            let asked = x.known(1)?.to_ints()?;
            resolve_shape(&asked, shape, node.int("allowzero", 0)? != 0)?
        }
        _ => {
            let axes = x.optional(1).map(|_| x.known(1)).transpose()?;
            t.evaluator
                .eval(node, &[Some(stand_in(shape)?), axes])?
                .swap_remove(0)
                .shape
        }
    };
    reshaped(t, id, shape, &new)
}

fn reshaped(t: &mut Trace, id: Id, shape: &[usize], new: &[usize]) -> Result<Value, String> {
    let wrong = || {
        Err(format!(
            "reshapes {shape:?} to {new:?}, which BERT does not do"
        ))
    };
    let same = |id| {
        Ok(Value::Term {
            id,
            shape: new.to_vec(),
        })
    };
    if shape == new {
        return same(id);
    }
    let (batch, len) = (t.probe.batch, t.probe.len);
    if let Term::Heads {
        x: base,
        heads,
        order,
        scale,
    } = *t.terms.get(id)
    {
        let length = lengths(t, heads, shape)?;
        let width = heads * length(Axis::Dim);
        // Both must split between axes.
        if groups(&order, &length, shape).is_none() || groups(&order, &length, new).is_none() {
            return wrong();
        }
        let joined = new.last() == Some(&width) && order == SPLIT && scale == 1.0;
        return if joined { same(base) } else { same(id) };
    }
    if let Some((base, scale)) = t.terms.multiple(id)
        && matches!(t.terms.get(base), Term::Linear { .. })
        && let &[b, l, heads, dim] = new
        && (b, l) == (batch, len)
        && Some(&(heads * dim)) == shape.last()
    {
        let heads = Term::Heads {
            x: base,
            heads,
            order: SPLIT,
            scale,
        };
        return Ok(t.put(heads, new));
    }
    if shape.last() == new.last() {
        same(id)
    } else {
        wrong()
    }
}
