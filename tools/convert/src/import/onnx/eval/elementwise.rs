//! Elementwise operators.

use super::super::graph::Node;
use super::super::stored::Element;
use super::super::tensor::{Data, Tensor, broadcast, broadcast_places};
use super::Inputs;

/// `f(a, b)` for all pairs of elements after broadcasting.
fn pairs<T: Copy, U>(
    a: (&[T], &[usize]),
    b: (&[T], &[usize]),
    out: &[usize],
    f: impl Fn(T, T) -> U,
) -> Vec<U> {
    if a.1 == out && b.0.len() == 1 {
        return a.0.iter().map(|&x| f(x, b.0[0])).collect();
    }
    if a.1 == out && b.1 == out {
        return a.0.iter().zip(b.0).map(|(&x, &y)| f(x, y)).collect();
    }
    let (left, right) = (broadcast_places(a.1, out), broadcast_places(b.1, out));
    left.zip(right).map(|(i, j)| f(a.0[i], b.0[j])).collect()
}

/// `a op b`.
pub(super) fn binary(op: &str, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let out = broadcast(&a.shape, &b.shape)?;
    if !a.is_float() && !b.is_float() {
        return integers(op, a, b, &out);
    }
    let (x, y) = (a.to_floats(), b.to_floats());
    let (x, y) = ((&*x, &*a.shape), (&*y, &*b.shape));
    let number = |f: fn(f32, f32) -> f32| Ok(Tensor::floats(&out, pairs(x, y, &out, f)));
    let truth = |f: fn(f32, f32) -> bool| {
        Ok(Tensor::ints(
            &out,
            pairs(x, y, &out, |x, y| i64::from(f(x, y))),
        ))
    };
    match op {
        "Add" => number(|x, y| x + y),
        "Sub" => number(|x, y| x - y),
        "Mul" => number(|x, y| x * y),
        "Div" => number(|x, y| x / y),
        "Pow" => number(power),
        "Max" => number(f32::max),
        "Min" => number(f32::min),
        "Equal" => truth(|x, y| x == y),
        "Greater" => truth(|x, y| x > y),
        "GreaterOrEqual" => truth(|x, y| x >= y),
        "Less" => truth(|x, y| x < y),
        "LessOrEqual" => truth(|x, y| x <= y),
        _ => Err("this operator takes no floats".into()),
    }
}

fn power(x: f32, y: f32) -> f32 {
    if y == 2.0 { x * x } else { x.powf(y) }
}

fn integers(op: &str, a: &Tensor, b: &Tensor, out: &[usize]) -> Result<Tensor, String> {
    let (x, y) = (a.to_ints()?, b.to_ints()?);
    if matches!(op, "Div" | "Mod") && y.contains(&0) {
        return Err("division by zero".into());
    }
    let f: fn(i64, i64) -> i64 = match op {
        "Add" => i64::wrapping_add,
        "Sub" => i64::wrapping_sub,
        "Mul" => i64::wrapping_mul,
        "Div" => i64::wrapping_div,
        "Mod" => i64::wrapping_rem_euclid,
        "Pow" => |x, y| x.wrapping_pow(y.clamp(0, 64) as u32),
        "Max" => i64::max,
        "Min" => i64::min,
        "Equal" => |x, y| i64::from(x == y),
        "Greater" => |x, y| i64::from(x > y),
        "GreaterOrEqual" => |x, y| i64::from(x >= y),
        "Less" => |x, y| i64::from(x < y),
        "LessOrEqual" => |x, y| i64::from(x <= y),
        "And" | "BitwiseAnd" => |x, y| x & y,
        "Or" | "BitwiseOr" => |x, y| x | y,
        _ => |x, y| x ^ y,
    };
    Ok(Tensor::ints(
        out,
        pairs((&x, &a.shape), (&y, &b.shape), out, f),
    ))
}

/// `Max` and `Min` with any number of inputs.
pub(super) fn fold(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let first = x.get(0)?.clone();
    (1..x.len()).try_fold(first, |a, i| binary(&node.op, &a, x.get(i)?))
}

pub(super) fn cast(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let element = match node.op.as_str() {
        "Cast" => Element::from_number(i32::try_from(node.int("to", 0)?).unwrap_or(0))?,
        _ if x.get(1)?.is_float() => Element::F32,
        _ => Element::I64,
    };
    let integers = |values: Vec<i64>| Ok(Tensor::ints(&data.shape, values));
    match (element, &data.data) {
        (Element::Bool, Data::F32(v)) => integers(v.iter().map(|&x| i64::from(x != 0.0)).collect()),
        (Element::Bool, _) => {
            integers(data.to_ints()?.iter().map(|&x| i64::from(x != 0)).collect())
        }
        (Element::I8 | Element::U8, _) => Err("a cast to 8 bits".into()),
        (e, _) if e.is_float() => Ok(Tensor {
            shape: data.shape.clone(),
            data: Data::F32(data.to_floats()),
        }),
        (_, Data::F32(v)) => integers(v.iter().map(|&x| x as i64).collect()),
        _ => integers(data.to_ints()?.to_vec()),
    }
}

/// `Where`.
pub(super) fn select(x: &Inputs) -> Result<Tensor, String> {
    let (condition, a, b) = (x.get(0)?, x.get(1)?, x.get(2)?);
    let out = broadcast(&broadcast(&condition.shape, &a.shape)?, &b.shape)?;
    let truth = condition.to_ints()?;
    let sides = broadcast_places(&a.shape, &out).zip(broadcast_places(&b.shape, &out));
    let places = broadcast_places(&condition.shape, &out).zip(sides);
    if a.is_float() || b.is_float() {
        let (a, b) = (a.to_floats(), b.to_floats());
        let value = |(c, (p, q))| if truth[c] != 0 { a[p] } else { b[q] };
        return Ok(Tensor::floats(&out, places.map(value).collect()));
    }
    let (a, b) = (a.to_ints()?, b.to_ints()?);
    let value = |(c, (p, q))| if truth[c] != 0 { a[p] } else { b[q] };
    Ok(Tensor::ints(&out, places.map(value).collect()))
}

pub(super) fn clip(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let bound = |i, name, default: f32| match x.optional(i) {
        Some(tensor) => tensor
            .scalar()
            .ok_or_else(|| format!("{name} is no number")),
        None => node.float(name, default),
    };
    let (low, high) = (
        bound(1, "min", f32::NEG_INFINITY)?,
        bound(2, "max", f32::INFINITY)?,
    );
    let clipped = |v: f32| v.max(low).min(high);
    Ok(if data.is_float() {
        map(data, clipped)
    } else {
        Tensor::ints(
            &data.shape,
            data.to_ints()?
                .iter()
                .map(|&v| clipped(v as f32) as i64)
                .collect(),
        )
    })
}

/// The tensor with `f` applied to its floats.
pub(super) fn map(x: &Tensor, f: impl Fn(f32) -> f32) -> Tensor {
    Tensor::floats(&x.shape, x.to_floats().iter().map(|&v| f(v)).collect())
}

/// Functions of one number, and activations with a bias.
pub(super) fn unary(node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let data = x.get(0)?;
    let tanh = node.text("approximate") == "tanh";
    let f: fn(f32) -> f32 = match node.op.as_str() {
        "Not" => {
            return Ok(Tensor::ints(
                &data.shape,
                data.to_ints()?.iter().map(|&v| i64::from(v == 0)).collect(),
            ));
        }
        "IsNaN" => {
            let values = data.to_floats();
            return Ok(Tensor::ints(
                &data.shape,
                values.iter().map(|v| i64::from(v.is_nan())).collect(),
            ));
        }
        "Neg" | "Abs" if !data.is_float() => {
            let f = if node.op == "Neg" {
                i64::wrapping_neg
            } else {
                i64::wrapping_abs
            };
            return Ok(Tensor::ints(
                &data.shape,
                data.to_ints()?.iter().map(|&v| f(v)).collect(),
            ));
        }
        "com.microsoft.BiasGelu" | "com.microsoft.FastGelu" => {
            let f = if node.op.ends_with("BiasGelu") {
                gelu
            } else {
                gelu_tanh
            };
            let f = |v: f32| f(f64::from(v)) as f32;
            return Ok(match x.optional(1) {
                Some(bias) => map(&binary("Add", data, bias)?, f),
                None => map(data, f),
            });
        }
        "Gelu" | "com.microsoft.Gelu" if tanh => |v| gelu_tanh(f64::from(v)) as f32,
        "Gelu" | "com.microsoft.Gelu" => |v| gelu(f64::from(v)) as f32,
        "Neg" => |v| -v,
        "Abs" => f32::abs,
        "Sqrt" => f32::sqrt,
        "Reciprocal" => f32::recip,
        "Exp" => f32::exp,
        "Log" => f32::ln,
        "Floor" => f32::floor,
        "Ceil" => f32::ceil,
        "Erf" => |v| erf(f64::from(v)) as f32,
        "Tanh" => f32::tanh,
        "Relu" => |v| v.max(0.0),
        other => return Err(format!("the operator {other} is not supported")),
    };
    Ok(map(data, f))
}

/// x Φ(x).
pub(crate) fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// GELU's approximation by tanh.
pub(crate) fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

/// The error function: its Taylor series near 0, otherwise a continued fraction of its complement.
/// Both are exact to about 1e-15.
pub(crate) fn erf(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude.is_nan() {
        return x;
    }
    if magnitude > 6.0 {
        return x.signum();
    }
    let value = if magnitude < 2.5 {
        let (mut term, mut sum, mut n) = (magnitude, magnitude, 0.0);
        while term.abs() > 1e-18 {
            n += 1.0;
            term *= -magnitude * magnitude / n;
            sum += term / (2.0 * n + 1.0);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let tail = (1..=60)
            .rev()
            .fold(magnitude, |tail, n| magnitude + f64::from(n) / 2.0 / tail);
        1.0 - (-magnitude * magnitude).exp() / (std::f64::consts::PI.sqrt() * tail)
    };
    value.copysign(x)
}
