//! 8-bit operators.

use super::super::graph::Node;
use super::super::tensor::{Data, Tensor};
use super::elementwise::{binary, map};
use super::matmul::matmul;
use super::reduce;
use super::{Evaluator, Inputs, attention as float_attention};

/// A scale or zero point, reshaped to broadcast against its tensor.
fn along(node: &Node, x: &Tensor, values: &Tensor) -> Result<Tensor, String> {
    node.only_without(&["block_size"])?;
    if values.len() == 1 {
        return values.with_shape(&[]);
    }
    let at = node.axis(1, x.shape.len())?;
    let mut shape = vec![1; x.shape.len()];
    shape[at] = values.len();
    values.with_shape(&shape)
}

pub(super) fn dequantize(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let scale = along(node, data, x.get(1)?)?;
    let zero = x
        .optional(2)
        .map(|zero| along(node, data, zero))
        .transpose()?;
    from_integers(data, &scale, zero.as_ref())
}

/// `(x - zero) * scale`.
pub(crate) fn from_integers(
    x: &Tensor,
    scale: &Tensor,
    zero: Option<&Tensor>,
) -> Result<Tensor, String> {
    let floats = map(x, |v| v);
    match zero {
        Some(zero) => binary("Mul", &binary("Sub", &floats, &map(zero, |v| v))?, scale),
        None => binary("Mul", &floats, scale),
    }
}

pub(super) fn quantize(e: &Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let scale = along(node, data, x.get(1)?)?;
    let signed = matches!(x.optional(2).map(|zero| &zero.data), Some(Data::I8(_)));
    let zero = x
        .optional(2)
        .map(|zero| along(node, data, zero))
        .transpose()?;
    let zero = map(&zero.unwrap_or(Tensor::ints(&[], vec![0])), |v| v);
    let scaled = binary("Div", data, &scale)?;
    if e.unrounded {
        return binary("Add", &scaled, &zero);
    }
    let rounded = binary("Add", &map(&scaled, f32::round_ties_even), &zero)?;
    let values = rounded.to_floats();
    let data = if signed {
        Data::I8(values.iter().map(|&v| v as i8).collect())
    } else {
        Data::U8(values.iter().map(|&v| v as u8).collect())
    };
    Ok(Tensor {
        shape: rounded.shape,
        data,
    })
}

/// Values, scale, zero point.
pub(super) fn dynamic_quantize(e: &Evaluator, x: &Inputs) -> Result<Vec<Tensor>, String> {
    let data = x.get(0)?;
    let byte = |data: Data| Tensor {
        shape: vec![],
        data,
    };
    if e.unrounded {
        let zero = byte(Data::U8([0].into()));
        return Ok(vec![data.clone(), Tensor::floats(&[], vec![1.0]), zero]);
    }
    let values = data.to_floats();
    let low = values.iter().copied().fold(0.0f32, f32::min);
    let high = values.iter().copied().fold(0.0f32, f32::max);
    let scale = if high == low {
        1.0
    } else {
        (high - low) / 255.0
    };
    let zero = (-low / scale).clamp(0.0, 255.0).round_ties_even();
    let round = |&v: &f32| ((v / scale).round_ties_even() + zero) as u8;
    let quantized = Tensor {
        shape: data.shape.clone(),
        data: Data::U8(values.iter().map(round).collect()),
    };
    Ok(vec![
        quantized,
        Tensor::floats(&[], vec![scale]),
        byte(Data::U8([zero as u8].into())),
    ])
}

/// The matrix minus its zero point, which is one number or one per column.
fn centered(x: &Tensor, zero: Option<&Tensor>) -> Result<Tensor, String> {
    match zero {
        Some(zero) => binary("Sub", &map(x, |v| v), &map(zero, |v| v)),
        None => Ok(map(x, |v| v)),
    }
}

/// Exact: sums over BERT's widths fit the evaluator's f64, and their f32 results fit the integers
/// of a cast to float.
pub(super) fn matmul_integer(e: &mut Evaluator, x: &Inputs) -> Result<Tensor, String> {
    let a = centered(x.get(0)?, x.optional(2))?;
    let b = centered(x.get(1)?, x.optional(3))?;
    matmul(e, &a, &b)
}

/// A, B, A's scale, B's scale, A's zero point, B's zero point, bias.
pub(super) fn matmul_to_float(e: &mut Evaluator, x: &Inputs) -> Result<Tensor, String> {
    let a = from_integers(x.get(0)?, x.get(2)?, x.optional(4))?;
    let b = from_integers(x.get(1)?, x.get(3)?, x.optional(5))?;
    with_bias(matmul(e, &a, &b)?, x.optional(6))
}

/// A, B, B's scale, B's zero point, bias.
pub(super) fn dynamic_matmul(e: &mut Evaluator, x: &Inputs) -> Result<Tensor, String> {
    let quantized = dynamic_quantize(e, &Inputs(&x.0[..1]))?;
    let a = from_integers(&quantized[0], &quantized[1], Some(&quantized[2]))?;
    let b = from_integers(x.get(1)?, x.get(2)?, x.optional(3))?;
    with_bias(matmul(e, &a, &b)?, x.optional(4))
}

fn with_bias(x: Tensor, bias: Option<&Tensor>) -> Result<Tensor, String> {
    match bias {
        Some(bias) => binary("Add", &x, bias),
        None => Ok(x),
    }
}

/// Input, weight, bias, input's scale, weight's scale, mask, input's zero point, weight's zero point.
pub(super) fn attention(e: &mut Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let input = from_integers(x.get(0)?, x.get(3)?, x.optional(6))?;
    let weight = from_integers(x.get(1)?, x.get(4)?, x.optional(7))?;
    float_attention::packed(e, node, &input, &weight, x.get(2)?, x.optional(5))
}

pub(super) fn embed_layer_norm(node: &Node, x: &Inputs) -> Result<Vec<Tensor>, String> {
    let part = |i: usize| from_integers(x.get(2 + i)?, x.get(8 + i)?, x.optional(13 + i));
    let (word, position, segment) = (part(0)?, part(1)?, part(2)?);
    let tables = [&word, &position, &segment];
    let mut outputs = reduce::embed(node, x, tables, &part(3)?, &part(4)?, x.optional(7), None)?;
    outputs.truncate(2);
    Ok(outputs)
}
