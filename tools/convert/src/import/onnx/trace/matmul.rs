//! Rules for matrix products, in floats and in 8 bits.

use super::super::graph::Node;
use super::super::matrix::Matrix;
use super::super::tensor::elements;
use super::super::terms::{BY_HEAD, Id, KEYS, Scores, Term};
use super::{Operands, Trace, Value};

/// `MatMul`, `Gemm`, `FusedMatMul`.
pub(super) fn matmul(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    if node.op == "Gemm" {
        return gemm(t, node, x);
    }
    node.only_without(&["transA", "transBatchA", "transBatchB"])?;
    let turned = node.int("transB", 0)? != 0;
    let alpha = f64::from(node.float("alpha", 1.0)?);
    if let Value::Weight(weight) = x.get(1)? {
        if alpha != 1.0 {
            return Err(format!("a factor of {alpha} at a weight"));
        }
        let weight = if turned {
            weight.clone()
        } else {
            weight.clone().transpose()
        };
        return linear(t, x, 0, weight, None);
    }
    let ((a, left), (b, right)) = (x.term(0)?, x.term(1)?);
    let (a, b) = (t.terms.get(a).clone(), t.terms.get(b).clone());
    match (a, b) {
        (
            Term::Heads {
                x: q,
                heads,
                order: BY_HEAD,
                scale,
            },
            Term::Heads {
                x: k,
                heads: h,
                order,
                scale: s,
            },
        ) => {
            let fits = order == if turned { BY_HEAD } else { KEYS };
            if !fits || heads != h || left.len() != 4 || right.len() != 4 {
                return Err("multiplies heads that are not queries and transposed keys".into());
            }
            let len = left[2];
            let scores = Scores {
                q,
                k,
                heads,
                scale: scale * s * alpha,
                masked: false,
            };
            Ok(t.put(Term::Scores(scores), &[left[0], heads, len, len]))
        }
        (
            Term::Probabilities(scores),
            Term::Heads {
                x: v,
                heads,
                order: BY_HEAD,
                scale: 1.0,
            },
        ) if heads == scores.heads && right.len() == 4 && !turned && alpha == 1.0 => {
            let mixed = t.terms.put(Term::Attention { scores, v });
            Ok(t.put(
                Term::Heads {
                    x: mixed,
                    heads,
                    order: BY_HEAD,
                    scale: 1.0,
                },
                right,
            ))
        }
        _ => Err("multiplies two values that BERT does not multiply".into()),
    }
}

fn gemm(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    node.only_without(&["transA"])?;
    if node.float("alpha", 1.0)? != 1.0 || node.float("beta", 1.0)? != 1.0 {
        return Err("factors at a linear layer".into());
    }
    let weight = x.weight(1)?;
    let weight = if node.int("transB", 0)? != 0 {
        weight
    } else {
        weight.transpose()
    };
    linear(t, x, 0, weight, x.optional(2).map(|_| 2))
}

/// A linear layer of input `input`. Its weight is `[out, in]`, its bias input `bias`.
fn linear(
    t: &mut Trace,
    x: &Operands,
    input: usize,
    weight: Matrix,
    bias: Option<usize>,
) -> Result<Value, String> {
    let (id, shape) = x.term(input)?;
    linear_of(t, x, (id, shape), weight, bias)
}

/// [`linear`] of a value that is not an input.
pub(super) fn linear_of(
    t: &mut Trace,
    x: &Operands,
    (id, shape): (Id, &[usize]),
    weight: Matrix,
    bias: Option<usize>,
) -> Result<Value, String> {
    let [out, width] = weight.shape();
    let (&last, rows) = shape.split_last().ok_or("a linear layer of a scalar")?;
    if last != width {
        return Err(format!(
            "a weight of shape {:?} for width {last}",
            weight.shape()
        ));
    }
    if weight.is_raw() {
        return Err("integers without a scale as a weight".into());
    }
    let shape = [rows, &[out]].concat();
    elements(&shape)?;
    let bias = bias.map(|i| x.vector(i, out)).transpose()?;
    Ok(t.put(
        Term::Linear {
            x: id,
            weight,
            bias,
        },
        &shape,
    ))
}

/// Values, scale, zero point.
pub(super) fn quantize_dynamically(t: &mut Trace, x: &Operands) -> Result<Vec<Value>, String> {
    let (id, shape) = x.term(0)?;
    Ok(vec![
        t.put(Term::Quantized(id), shape),
        t.put(Term::QuantizedScale(id), &[]),
        t.put(Term::QuantizedZero(id), &[]),
    ])
}

/// The value that input `i` is the rounded form of. Its zero point is input `zero`.
fn quantized(t: &Trace, x: &Operands, i: usize, zero: usize) -> Result<(Id, Vec<usize>), String> {
    let ((id, shape), (zero, _)) = (x.term(i)?, x.term(zero)?);
    match (t.terms.get(id), t.terms.get(zero)) {
        (Term::Quantized(of), Term::QuantizedZero(z)) if of == z => Ok((*of, shape.to_vec())),
        _ => Err("takes integers without their own zero point".into()),
    }
}

/// [`quantized`], with its scale at input `scale`.
pub(super) fn quantized_with_scale(
    t: &Trace,
    x: &Operands,
    i: usize,
    scale: usize,
    zero: usize,
) -> Result<(Id, Vec<usize>), String> {
    let found = quantized(t, x, i, zero)?;
    match t.terms.get(x.term(scale)?.0) {
        Term::QuantizedScale(of) if *of == found.0 => Ok(found),
        _ => Err("takes integers without their own scale".into()),
    }
}

/// `MatMulInteger`: A, B, A's zero point, B's zero point.
pub(super) fn integer(t: &mut Trace, x: &Operands) -> Result<Value, String> {
    let (id, shape) = quantized(t, x, 0, 2)?;
    let zero = x.optional(3).map(|_| x.constant(3)).transpose()?;
    let one = super::Tensor::floats(&[], vec![1.0]);
    let weight = x.weight(1)?.dequantized(&one, zero.as_ref(), Some(1))?;
    let [width, out] = weight.shape();
    match shape.split_last() {
        Some((&last, rows)) if last == width => {
            let shape = [rows, &[out]].concat();
            elements(&shape)?;
            Ok(t.put(Term::Products { x: id, weight }, &shape))
        }
        _ => Err(format!("{shape:?} times {:?}", weight.shape())),
    }
}

/// A, B, B's scale, B's zero point, bias.
pub(super) fn dynamic(t: &mut Trace, x: &Operands) -> Result<Value, String> {
    let weight = integers(x, 1, 2, 3)?.transpose();
    linear(t, x, 0, weight, x.optional(4).map(|_| 4))
}

/// A, B, A's scale, B's scale, A's zero point, B's zero point, bias.
pub(super) fn to_float(t: &mut Trace, x: &Operands) -> Result<Value, String> {
    let (id, shape) = quantized_with_scale(t, x, 0, 2, 4)?;
    let weight = integers(x, 1, 3, 5)?.transpose();
    linear_of(t, x, (id, &shape), weight, x.optional(6).map(|_| 6))
}

/// Input `i` as a weight of integers with its scale and zero point.
pub(super) fn integers(
    x: &Operands,
    i: usize,
    scale: usize,
    zero: usize,
) -> Result<Matrix, String> {
    let zero = x.optional(zero).map(|_| x.constant(zero)).transpose()?;
    x.weight(i)?
        .dequantized(&x.constant(scale)?, zero.as_ref(), Some(1))
}

/// `QuantizeLinear` with constants: the rounded value.
pub(super) fn quantize(t: &mut Trace, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    let scale = x.constant(1)?;
    let zero = x.optional(2).map(|_| x.constant(2)).transpose()?;
    Ok(t.put(Term::Rounded { x: id, scale, zero }, shape))
}

/// `DequantizeLinear` of a rounded value, or of rows of a table of integers.
pub(super) fn dequantize(t: &mut Trace, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    let scale = x.constant(1)?;
    let zero = x.optional(2).map(|_| x.constant(2)).transpose()?;
    let known = |table: Option<Matrix>| match table {
        Some(table) if scale.len() == 1 => table.dequantized(&scale, zero.as_ref(), None).map(Some),
        Some(_) => Err("more than one scale for rows of a table".to_owned()),
        None => Ok(None),
    };
    let term = match t.terms.get(id).clone() {
        Term::Rounded {
            x: of,
            scale: s,
            zero: z,
        } if s == scale && z == zero => {
            return Ok(Value::Term {
                id: of,
                shape: shape.to_vec(),
            });
        }
        Term::Embeddings {
            word,
            position,
            segment,
        } => Term::Embeddings {
            word: known(word)?,
            position: known(position)?,
            segment: known(segment)?,
        },
        _ => {
            return Err(
                "dequantises with another scale or zero point than it was quantised with".into(),
            );
        }
    };
    Ok(t.put(term, shape))
}
