//! Rules for operators on elements and rows.

use std::sync::Arc;

use super::super::eval::{Inputs, erf, gelu, gelu_tanh, reduction_axes, softmax_is_last};
use super::super::graph::Node;
use super::super::stored::Element;
use super::super::tensor::{Tensor, broadcast};
use super::super::terms::{Id, Samples, Scores, Term};
use super::{Operands, Trace, Value};

/// Casts between float types keep the meaning, and so do casts of integer sums to float.
pub(super) fn cast(node: &Node, x: &Operands) -> Result<Value, String> {
    x.term(0)?;
    if to_float(node)? {
        x.get(0).cloned()
    } else {
        Err("casts values of the model to integers".into())
    }
}

/// Whether a `Cast` gives floats.
pub(super) fn to_float(node: &Node) -> Result<bool, String> {
    let to = i32::try_from(node.int("to", 0)?).unwrap_or(0);
    Ok(Element::from_number(to)?.is_float())
}

/// The identity outside training.
pub(super) fn dropout(x: &Operands) -> Result<Value, String> {
    match x.optional(2) {
        Some(_) if x.constant(2)?.scalar() != Some(0.0) => {
            Err("drops out values, as in training".into())
        }
        _ => x.get(0).cloned(),
    }
}

/// Functions of one number, and activations with a bias.
pub(super) fn unary(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let tanh = node.text("approximate") == "tanh";
    let f: fn(f64) -> f64 = match node.op.as_str() {
        "Erf" => erf,
        "Tanh" => f64::tanh,
        "Sqrt" => f64::sqrt,
        "Reciprocal" => f64::recip,
        "Neg" => |v| -v,
        "Relu" => |v| v.max(0.0),
        "Gelu" | "com.microsoft.Gelu" if tanh => gelu_tanh,
        "Gelu" | "com.microsoft.Gelu" | "com.microsoft.BiasGelu" => gelu,
        "com.microsoft.FastGelu" => gelu_tanh,
        "IsNaN" => {
            let (id, shape) = x.term(0)?;
            return Ok(t.put(Term::NotANumber(id), shape));
        }
        other => return Err(refusal(other)),
    };
    let value = match node.op.as_str() {
        "com.microsoft.BiasGelu" | "com.microsoft.FastGelu" if x.optional(1).is_some() => {
            add_bias(t, x, 0, 1)?
        }
        _ => x.get(0)?.clone(),
    };
    let Value::Term { id, shape } = value else {
        return Err("no rule for this operator on a constant".into());
    };
    let (base, g) = t.terms.function(id);
    Ok(t.put(
        Term::Pointwise {
            x: base,
            f: g.then(f),
        },
        &shape,
    ))
}

/// Why a graph with this operator is refused.
fn refusal(op: &str) -> String {
    let what = match op {
        "SimplifiedLayerNormalization"
        | "RMSNormalization"
        | "com.microsoft.SkipSimplifiedLayerNormalization" => {
            "a norm without a mean (T5, ModernBERT, decoders)"
        }
        "RotaryEmbedding" | "com.microsoft.RotaryEmbedding" | "Sin" | "Cos" => {
            "rotary positions (ModernBERT, NomicBERT, decoders)"
        }
        "GatherElements"
        | "com.microsoft.RelativePositionBias"
        | "com.microsoft.GatedRelativePositionBias" => "relative positions (DeBERTa, T5)",
        "com.microsoft.GroupQueryAttention" => "attention of a decoder",
        "Sigmoid" | "com.microsoft.QuickGelu" => {
            "another activation than GELU, its tanh form or ReLU"
        }
        _ => return format!("the operator {op} is not part of a BERT forward pass"),
    };
    format!("{op}: {what} is not supported; use a BERT cross-encoder with absolute positions")
}

/// A linear layer's output plus its bias.
pub(super) fn add_bias(
    t: &mut Trace,
    x: &Operands,
    term: usize,
    bias: usize,
) -> Result<Value, String> {
    let (id, shape) = x.term(term)?;
    let width = shape.last().copied().unwrap_or(0);
    match t.terms.get(id).clone() {
        Term::Linear {
            x: input,
            weight,
            bias: None,
        } => {
            let bias = Some(x.vector(bias, width)?);
            Ok(t.put(
                Term::Linear {
                    x: input,
                    weight,
                    bias,
                },
                shape,
            ))
        }
        _ => Err("adds a vector to something other than a linear layer without a bias".into()),
    }
}

/// Mean over the last axis.
pub(super) fn mean(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    let axes = x.optional(1).map(|_| x.constant(1)).transpose()?;
    let axes = reduction_axes(node, &Inputs(&[None, axes]), shape.len())?;
    if axes != [shape.len() - 1] || node.int("keepdims", 1)? == 0 {
        return Err(
            "a mean over axes other than the last is not a layer norm (pooling inside the \
             graph is not supported; use an output before it)"
                .into(),
        );
    }
    let mut reduced = shape.to_vec();
    reduced[shape.len() - 1] = 1;
    let (base, f) = t.terms.function(id);
    let term = match t.terms.get(base) {
        Term::Centered(rows) if f.is(|v| v * v, 1e-9) => Term::Variance(*rows),
        _ if f == Samples::identity() => Term::Mean(id),
        _ if f.is(|v| v * v, 1e-9) => return Err(refusal("SimplifiedLayerNormalization")),
        _ => return Err("the mean of something other than the model's rows".into()),
    };
    Ok(t.put(term, &reduced))
}

/// `+ - * / ^` with at least one term.
pub(super) fn binary(t: &mut Trace, op: &str, x: &Operands) -> Result<Value, String> {
    match (x.get(0)?, x.get(1)?) {
        (
            Value::Term { id: a, shape: left },
            Value::Term {
                id: b,
                shape: right,
            },
        ) => {
            let shape = broadcast(left, right)?;
            terms(t, op, *a, *b, left == right, &shape)
        }
        (Value::Term { id, shape }, _) => with_known(t, op, x, (*id, shape), 1),
        (_, Value::Term { id, shape }) => with_known(t, op, x, (*id, shape), 0),
        _ => Err("no rule for constants here".into()),
    }
}

fn arithmetic(op: &str) -> fn(f64, f64) -> f64 {
    match op {
        "Add" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        _ => f64::powf,
    }
}

/// Two terms.
fn terms(
    t: &mut Trace,
    op: &str,
    a: Id,
    b: Id,
    same_shape: bool,
    shape: &[usize],
) -> Result<Value, String> {
    let ((base_a, f), (base_b, g)) = (t.terms.function(a), t.terms.function(b));
    if base_a == base_b && same_shape {
        let f = f.with(&g, arithmetic(op));
        return Ok(t.put(Term::Pointwise { x: base_a, f }, shape));
    }
    if op == "Add"
        && let Some(sum) = embeddings(t.terms.get(a), t.terms.get(b))?
    {
        return Ok(t.put(sum, shape));
    }
    let inverse = g.then(f64::recip);
    let term = match (
        op,
        t.terms.get(a),
        t.terms.get(b),
        t.terms.get(base_a),
        t.terms.get(base_b),
    ) {
        ("Sub", _, Term::Mean(rows), ..) if *rows == a => Term::Centered(a),
        ("Div", Term::Centered(rows), _, _, Term::Variance(of)) if rows == of => normal(*rows, &g)?,
        ("Mul", Term::Centered(rows), _, _, Term::Variance(of)) if rows == of => {
            normal(*rows, &inverse)?
        }
        ("Mul", _, Term::Centered(rows), Term::Variance(of), _) if rows == of => {
            normal(*rows, &f.then(f64::recip))?
        }
        ("Mul", Term::Products { x, weight }, Term::ScaleProduct { x: of, scale }, ..)
        | ("Mul", Term::ScaleProduct { x: of, scale }, Term::Products { x, weight }, ..)
            if x == of =>
        {
            let weight = weight.clone().scaled(scale, None)?.transpose();
            Term::Linear {
                x: *x,
                weight,
                bias: None,
            }
        }
        ("Add", ..) if same_shape => Term::Sum(a.min(b), a.max(b)),
        _ => {
            return Err(format!(
                "{op} of two values that BERT does not combine this way"
            ));
        }
    };
    Ok(t.put(term, shape))
}

fn normal(x: Id, deviation: &Samples) -> Result<Term, String> {
    let eps = deviation.deviation();
    let eps = eps.ok_or("divides by something other than sqrt(variance + epsilon)")?;
    Ok(Term::Normal { x, eps })
}

/// The sum of two sums of embeddings, if both are.
fn embeddings(a: &Term, b: &Term) -> Result<Option<Term>, String> {
    let (
        Term::Embeddings {
            word,
            position,
            segment,
        },
        Term::Embeddings {
            word: w,
            position: p,
            segment: s,
        },
    ) = (a, b)
    else {
        return Ok(None);
    };
    let one = |a: &Option<_>, b: &Option<_>, name| match (a, b) {
        (Some(_), Some(_)) => Err(format!("adds two tables of {name} embeddings")),
        (Some(table), None) | (None, Some(table)) => Ok(Some(Clone::clone(table))),
        (None, None) => Ok(None),
    };
    Ok(Some(Term::Embeddings {
        word: one(word, w, "word")?,
        position: one(position, p, "position")?,
        segment: one(segment, s, "segment")?,
    }))
}

/// A term and a known tensor, which is input `other`.
fn with_known(
    t: &mut Trace,
    op: &str,
    x: &Operands,
    (id, shape): (Id, &[usize]),
    other: usize,
) -> Result<Value, String> {
    let tensor = x.known(other)?;
    let term = t.terms.get(id).clone();
    if let ("Mul", Term::QuantizedScale(of)) = (op, &term) {
        let scale = x.constant(other)?;
        let (of, shape) = (*of, scale.shape.clone());
        return Ok(t.put(Term::ScaleProduct { x: of, scale }, &shape));
    }
    if broadcast(shape, &tensor.shape)? != shape {
        return Err(format!("{op} of {shape:?} and {:?}", tensor.shape));
    }
    let width = shape.last().copied().unwrap_or(0);
    match (op, term) {
        ("Add", Term::Linear { bias: None, .. }) if tensor.shape == [width] => {
            return add_bias(t, x, 1 - other, other);
        }
        (
            "Add",
            Term::Scaled {
                x: rows,
                eps,
                scale,
            },
        ) => {
            let bias = x.vector(other, width)?;
            return Ok(t.put(
                Term::Norm {
                    x: rows,
                    eps,
                    scale,
                    bias,
                },
                shape,
            ));
        }
        ("Mul", Term::Normal { x: rows, eps }) => {
            let scale = x.vector(other, width)?;
            return Ok(t.put(
                Term::Scaled {
                    x: rows,
                    eps,
                    scale,
                },
                shape,
            ));
        }
        ("Add", Term::Scores(scores)) if tensor.len() > 1 => {
            return mask(t, scores, &tensor, shape);
        }
        _ => (),
    }
    let number = tensor.scalar().map(f64::from);
    let number = number.ok_or_else(|| {
        format!(
            "{op} with {:?}, which is neither a number nor a weight of BERT",
            tensor.shape
        )
    })?;
    let f = arithmetic(op);
    let apply = |v: f64| {
        if other == 1 {
            f(v, number)
        } else {
            f(number, v)
        }
    };
    match t.terms.get(id).clone() {
        Term::Heads {
            x,
            heads,
            order,
            scale,
        } => {
            let scale = times(op, other, scale, number)?;
            Ok(t.put(
                Term::Heads {
                    x,
                    heads,
                    order,
                    scale,
                },
                shape,
            ))
        }
        Term::Scores(scores) => {
            if scores.masked {
                return Err("changes scores after the mask".into());
            }
            let scale = times(op, other, scores.scale, number)?;
            Ok(t.put(Term::Scores(Scores { scale, ..scores }), shape))
        }
        _ => {
            let (base, g) = t.terms.function(id);
            Ok(t.put(
                Term::Pointwise {
                    x: base,
                    f: g.then(apply),
                },
                shape,
            ))
        }
    }
}

fn times(op: &str, other: usize, scale: f64, number: f64) -> Result<f64, String> {
    match (op, other) {
        ("Mul", _) => Ok(scale * number),
        ("Div", 1) => Ok(scale / number),
        _ => Err(format!("{op} of attention and a number")),
    }
}

fn mask(t: &mut Trace, scores: Scores, tensor: &Tensor, shape: &[usize]) -> Result<Value, String> {
    t.probe.check_mask(tensor, scores.heads)?;
    Ok(t.put(
        Term::Scores(Scores {
            masked: true,
            ..scores
        }),
        shape,
    ))
}

/// `Where`: replaces scores of padding, or a softmax's NaN for rows without a token.
pub(super) fn select(t: &mut Trace, x: &Operands) -> Result<Value, String> {
    match (x.get(0)?, x.get(1)?, x.get(2)?) {
        (Value::Term { id: condition, .. }, _, Value::Term { id, shape }) => {
            let replaced = x.known(1)?.scalar() == Some(0.0);
            if *t.terms.get(*condition) == Term::NotANumber(*id) && replaced {
                Ok(Value::Term {
                    id: *id,
                    shape: shape.clone(),
                })
            } else {
                Err("a choice that BERT does not make".into())
            }
        }
        (_, kept, put) => {
            let (keep, (id, shape), instead) = match (kept, put) {
                (Value::Term { id, shape }, _) => (1, (*id, shape), x.known(2)?),
                (_, Value::Term { id, shape }) => (0, (*id, shape), x.known(1)?),
                _ => return Err("a choice that BERT does not make".into()),
            };
            let instead = instead
                .scalar()
                .ok_or("replaces scores by more than one number")?;
            let condition = x.known(0)?;
            let choices = condition.to_ints()?;
            let nothing = choices.iter().all(|&c| i64::from(c != 0) == keep);
            let mut dims = condition.shape.iter().rev().zip(shape.iter().rev());
            let fits =
                condition.shape.len() <= shape.len() && dims.all(|(&c, &d)| c == d || c == 1);
            let added = choices
                .iter()
                .map(|&c| {
                    if i64::from(c != 0) == keep {
                        0.0
                    } else {
                        instead
                    }
                })
                .collect();
            match t.terms.get(id).clone() {
                Term::Scores(scores) => {
                    mask(t, scores, &Tensor::floats(&condition.shape, added), shape)
                }
                // transformers' exporter replaces rows without any token, which BERT does not have.
                _ if nothing && fits => Ok(Value::Term {
                    id,
                    shape: shape.clone(),
                }),
                _ => Err("a choice that BERT does not make".into()),
            }
        }
    }
}

pub(super) fn softmax(t: &mut Trace, node: &Node, x: &Operands) -> Result<Value, String> {
    let (id, shape) = x.term(0)?;
    match t.terms.get(id).clone() {
        Term::Scores(scores) if softmax_is_last(node, shape.len())? => {
            Ok(t.put(Term::Probabilities(scores), shape))
        }
        Term::Scores(_) => Err("a softmax over an axis other than the last".into()),
        _ => Err(
            "a softmax of something other than attention scores (a score's softmax belongs \
             after the graph, not in it)"
                .into(),
        ),
    }
}

/// A layer norm's term.
pub(super) fn norm(
    t: &mut Trace,
    x: Id,
    shape: &[usize],
    eps: f32,
    scale: Arc<[f32]>,
    bias: Arc<[f32]>,
) -> Value {
    t.put(
        Term::Norm {
            x,
            eps,
            scale,
            bias,
        },
        shape,
    )
}
