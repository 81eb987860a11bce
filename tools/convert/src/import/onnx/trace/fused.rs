//! Rules for fused operators: whole parts of a transformer.

use std::sync::Arc;

use super::super::eval::{check_multi_head, check_packed, check_standard, from_integers, heads};
use super::super::graph::Node;
use super::super::matrix::Matrix;
use super::super::tensor::Tensor;
use super::super::terms::{BY_HEAD, Id, Scores, Term};
use super::elementwise::norm;
use super::matmul::{integers, linear_of, quantized_with_scale};
use super::shape::rows_of_table;
use super::{Operands, Trace, Value};

/// `LayerNormalization`: rows, scale, bias.
pub(super) fn layer_norm(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    if node.axis(-1, shape.len())? + 1 != shape.len() {
        return Err("a norm over more than the last axis".into());
    }
    let width = shape.last().copied().unwrap_or(0);
    let bias = match x.optional(2) {
        Some(_) => x.vector(2, width)?,
        None => vec![0.0; width].into(),
    };
    let scale = x.vector(1, width)?;
    Ok(norm(
        t,
        id,
        shape,
        node.float("epsilon", 1e-5)?,
        scale,
        bias,
    ))
}

/// Two summands, scale, bias, and a bias that belongs to the preceding linear layer.
pub(super) fn skip_layer_norm(
    t: &mut Trace,
    node: &Node,
    x: &Operands,
) -> Result<Vec<Value>, String> {
    let ((mut a, shape), (mut b, other)) = (x.term(0)?, x.term(1)?);
    if shape != other {
        return Err(format!("adds {other:?} to {shape:?}"));
    }
    let width = shape.last().copied().unwrap_or(0);
    if x.optional(4).is_some() {
        let bias = x.vector(4, width)?;
        let open = [&mut a, &mut b]
            .into_iter()
            .find(|id| matches!(t.terms.get(**id), Term::Linear { bias: None, .. }));
        let open = open.ok_or("a bias without a linear layer that needs one")?;
        if let Term::Linear {
            x: input, weight, ..
        } = t.terms.get(*open).clone()
        {
            *open = t.terms.put(Term::Linear {
                x: input,
                weight,
                bias: Some(bias),
            });
        }
    }
    let scale = x.vector(2, width)?;
    let bias = x
        .optional(3)
        .map_or_else(|| Ok(vec![0.0; width].into()), |_| x.vector(3, width))?;
    let sum = t.terms.put(Term::Sum(a.min(b), a.max(b)));
    let normed = norm(t, sum, shape, node.float("epsilon", 1e-12)?, scale, bias);
    // Mean and deviation are outputs for training.
    let unused = || Value::Known {
        tensor: Tensor::floats(&[0], vec![]),
        constant: true,
    };
    let sum = Value::Term {
        id: sum,
        shape: shape.to_vec(),
    };
    Ok(vec![normed, unused(), unused(), sum])
}

/// Operators that take token ids: both kinds of `EmbedLayerNormalization`.
pub(super) fn of_ids(
    t: &mut Trace,
    node: &Node,
    x: &Operands,
) -> Result<Option<Vec<Value>>, String> {
    let quantized = match node.op.as_str() {
        "com.microsoft.EmbedLayerNormalization" => false,
        "com.microsoft.QEmbedLayerNormalization" => true,
        _ => return Ok(None),
    };
    let table = |i: usize| {
        if quantized {
            integers(x, 2 + i, 8 + i, 13 + i)
        } else {
            x.weight(2 + i)
        }
    };
    let vector = |i: usize, width: usize| -> Result<Arc<[f32]>, String> {
        if !quantized {
            return x.vector(2 + i, width);
        }
        let zero = x.constant(13 + i)?;
        let values = from_integers(&x.constant(2 + i)?, &x.constant(8 + i)?, Some(&zero))?;
        if values.shape == [width] {
            Ok(values.to_floats())
        } else {
            Err(format!(
                "input {} has shape {:?}, not [{width}]",
                2 + i,
                values.shape
            ))
        }
    };
    let shape = [t.probe.batch, t.probe.len];
    let counted = || {
        Tensor::ints(
            &shape,
            (0..shape[0] * shape[1])
                .map(|i| (i % shape[1]) as i64)
                .collect(),
        )
    };
    let positions = match x.optional(8).filter(|_| !quantized) {
        Some(_) => x.known(8)?,
        None => counted(),
    };
    let mut sum = None;
    for (i, indices) in [x.known(0)?, positions, x.known(1)?]
        .into_iter()
        .enumerate()
    {
        let indices = Operands(vec![
            None,
            Some(Value::Known {
                tensor: indices,
                constant: false,
            }),
        ]);
        let rows = rows_of_table(t, table(i)?, &indices)?.swap_remove(0);
        sum = Some(match sum {
            None => rows,
            Some(before) => {
                super::elementwise::binary(t, "Add", &Operands(vec![Some(before), Some(rows)]))?
            }
        });
    }
    let Some(Value::Term { id, shape }) = sum else {
        return Err("no embeddings".into());
    };
    let width = shape.last().copied().unwrap_or(0);
    let normed = norm(
        t,
        id,
        &shape,
        node.float("epsilon", 1e-12)?,
        vector(3, width)?,
        vector(4, width)?,
    );
    let lengths = match x.optional(7) {
        Some(_) => x
            .known(7)?
            .to_ints()?
            .chunks(t.probe.len.max(1))
            .map(|row| row.iter().sum())
            .collect(),
        None => vec![0; t.probe.batch],
    };
    let lengths = Tensor::ints(&[lengths.len()], lengths);
    let lengths = Value::Known {
        tensor: lengths,
        constant: false,
    };
    Ok(Some(vec![normed, lengths, Value::Term { id, shape }]))
}

/// Rows, packed weight, packed bias, mask.
pub(super) fn packed_attention(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    check_packed(node)?;
    let (id, shape) = x.term(0)?;
    let shape = shape.to_vec();
    packed(t, node, x, (id, &shape), x.weight(1)?, 3)
}

/// Rows, weight, bias, rows' scale, weight's scale, mask, rows' zero point, weight's zero point.
pub(super) fn quantized_attention(
    t: &mut Trace,
    node: &Node,
    x: &Operands,
) -> Result<Value, String> {
    node.only_without(&["unidirectional", "do_rotary", "past_present_share_buffer"])?;
    if x.optional(8).is_some() {
        return Err("input 8 (past) is not supported".into());
    }
    let (id, shape) = quantized_with_scale(t, x, 0, 3, 6)?;
    packed(t, node, x, (id, &shape), integers(x, 1, 4, 7)?, 5)
}

/// Attention over rows with one weight `[width, 3 hidden]` and one bias (input 2) for queries, keys
/// and values. The mask is input `mask`.
fn packed(
    t: &mut Trace,
    node: &Node,
    x: &Operands,
    (id, shape): (Id, &[usize]),
    weight: Matrix,
    mask: usize,
) -> Result<Value, String> {
    let [_, columns] = weight.shape();
    let hidden = columns / 3;
    let bias = x.vector(2, columns)?;
    if columns % 3 != 0 {
        return Err(format!("{columns} columns for queries, keys and values"));
    }
    let mut parts = Vec::new();
    for i in 0..3 {
        let range = i * hidden..(i + 1) * hidden;
        let bias = Value::Known {
            tensor: Tensor::floats(&[hidden], bias[range.clone()].to_vec()),
            constant: true,
        };
        let weight = weight.slice_columns(range)?.transpose();
        let part = linear_of(t, &Operands(vec![Some(bias)]), (id, shape), weight, Some(0))?;
        parts.push(part);
    }
    let masked = token_mask(t, node, x, mask)?;
    attend(t, node, &parts, masked)
}

/// Whether there is a mask of token numbers. If so, it must be the graph's.
fn token_mask(t: &Trace, node: &Node, x: &Operands, i: usize) -> Result<bool, String> {
    if x.optional(i).is_none() {
        return Ok(false);
    }
    if node.float("mask_filter_value", -10000.0)? > -1000.0 {
        return Err("a mask_filter_value that does not remove padding".into());
    }
    if t.probe.is_token_mask(&x.known(i)?) {
        Ok(true)
    } else {
        Err(format!("input {i} is not the attention mask"))
    }
}

/// Queries, keys, values, bias of all three, mask, bias of the scores.
pub(super) fn multi_head(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    check_multi_head(node)?;
    let mut parts = Vec::new();
    for i in 0..3 {
        let (id, shape) = x.term(i)?;
        let hidden = shape.last().copied().unwrap_or(0);
        parts.push(match x.optional(3) {
            Some(_) => {
                let bias = x.vector(3, 3 * hidden)?[i * hidden..(i + 1) * hidden].to_vec();
                let bias = Value::Known {
                    tensor: Tensor::floats(&[hidden], bias),
                    constant: true,
                };
                let operands = Operands(vec![
                    Some(Value::Term {
                        id,
                        shape: shape.to_vec(),
                    }),
                    Some(bias),
                ]);
                super::elementwise::add_bias(t, &operands, 0, 1)?
            }
            None => x.get(i)?.clone(),
        });
    }
    let mut masked = token_mask(t, node, x, 4)?;
    if x.optional(5).is_some() {
        t.probe.check_mask(&x.known(5)?, heads(node)?)?;
        masked = true;
    }
    attend(t, node, &parts, masked)
}

/// Attention of queries, keys and values, each with heads side by side.
fn attend(t: &mut Trace, node: &Node, parts: &[Value], masked: bool) -> Result<Value, String> {
    let [
        Value::Term { id: q, shape },
        Value::Term { id: k, .. },
        Value::Term { id: v, .. },
    ] = parts
    else {
        return Err("attention of constants".into());
    };
    let heads = heads(node)?;
    let width = shape.last().copied().unwrap_or(0);
    if shape.len() != 3 || !width.is_multiple_of(heads) {
        return Err(format!("{heads} heads in {shape:?}"));
    }
    let scale = scale(node, width / heads)?;
    let scores = Scores {
        q: *q,
        k: *k,
        heads,
        scale,
        masked,
    };
    Ok(t.put(Term::Attention { scores, v: *v }, shape))
}

fn scale(node: &Node, dim: usize) -> Result<f64, String> {
    // 0 stands for the default.
    Ok(match node.float("scale", 0.0)? {
        0.0 => (dim as f64).sqrt().recip(),
        scale => f64::from(scale),
    })
}

/// ONNX's own operator: queries, keys and values split into heads, mask.
pub(super) fn attention(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    check_standard(node)?;
    let mut parts = Vec::new();
    for i in 0..3 {
        let (id, _) = x.term(i)?;
        match *t.terms.get(id) {
            Term::Heads {
                x: base,
                heads,
                order: BY_HEAD,
                scale,
            } => parts.push((base, heads, scale)),
            _ => return Err(format!("input {i} is not split into heads")),
        }
    }
    let (_, shape) = x.term(0)?;
    let &[(q, heads, a), (k, h, b), (v, g, c)] = &parts[..] else {
        return Err("queries, keys or values are missing".into());
    };
    if shape.len() != 4 || [h, g] != [heads; 2] || c != 1.0 {
        return Err("queries, keys and values with different heads".into());
    }
    let masked = match x.optional(3) {
        None => false,
        Some(_) => {
            let mask = x.known(3)?;
            let added = if mask.is_float() {
                mask
            } else {
                let kept = mask.to_ints()?;
                let bias = kept
                    .iter()
                    .map(|&k| if k != 0 { 0.0 } else { f32::NEG_INFINITY });
                Tensor::floats(&mask.shape, bias.collect())
            };
            t.probe.check_mask(&added, heads)?;
            true
        }
    };
    let scores = Scores {
        q,
        k,
        heads,
        scale: a * b * scale(node, shape[3])?,
        masked,
    };
    let mixed = t.terms.put(Term::Attention { scores, v });
    Ok(t.put(
        Term::Heads {
            x: mixed,
            heads,
            order: BY_HEAD,
            scale: 1.0,
        },
        shape,
    ))
}
