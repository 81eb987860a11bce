//! Matrix products.

use super::super::graph::Node;
use super::super::tensor::{Tensor, broadcast, broadcast_places, elements};
use super::elementwise::{binary, map};
use super::shape::permute;
use super::{Evaluator, Inputs};

pub(super) fn eval(e: &mut Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let (a, b) = (x.get(0)?, x.get(1)?);
    match node.op.as_str() {
        "MatMul" => matmul(e, a, b),
        "Gemm" => gemm(e, node, x),
        _ => {
            node.only_without(&["transBatchA", "transBatchB"])?;
            let a = if node.int("transA", 0)? != 0 {
                swap(a)
            } else {
                a.clone()
            };
            let b = if node.int("transB", 0)? != 0 {
                swap(b)
            } else {
                b.clone()
            };
            let alpha = node.float("alpha", 1.0)?;
            Ok(map(&matmul(e, &a, &b)?, |v| v * alpha))
        }
    }
}

/// Swaps the last two axes.
pub(super) fn swap(x: &Tensor) -> Tensor {
    let mut order: Vec<usize> = (0..x.shape.len()).collect();
    if let [.., a, b] = &mut order[..] {
        std::mem::swap(a, b);
    }
    permute(x, &order)
}

fn gemm(e: &mut Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    let (a, b) = (x.get(0)?, x.get(1)?);
    let a = if node.int("transA", 0)? != 0 {
        swap(a)
    } else {
        a.clone()
    };
    let b = if node.int("transB", 0)? != 0 {
        swap(b)
    } else {
        b.clone()
    };
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let product = map(&matmul(e, &a, &b)?, |v| v * alpha);
    match x.optional(2) {
        Some(c) => binary("Add", &product, &map(c, |v| v * beta)),
        None => Ok(product),
    }
}

/// `a[.., m, k] b[.., k, n]` with broadcast leading axes. Sums are f64.
pub(super) fn matmul(e: &mut Evaluator, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    let wrong = || format!("{:?} times {:?}", a.shape, b.shape);
    let ([lead_a @ .., m, k], [lead_b @ .., k2, n]) = (&a.shape[..], &b.shape[..]) else {
        return Err(wrong());
    };
    let (m, k, n) = (*m, *k, *n);
    if k != *k2 {
        return Err(wrong());
    }
    let lead = broadcast(lead_a, lead_b)?;
    let shape = [&lead[..], &[m, n]].concat();
    e.spend(elements(&shape)?.saturating_mul(k))?;
    let places = broadcast_places(lead_a, &lead).zip(broadcast_places(lead_b, &lead));
    let (a, b) = (a.to_floats(), b.to_floats());
    let mut out = Vec::with_capacity(shape.iter().product());
    let mut sums = vec![0.0f64; n];
    for (i, j) in places {
        for row in 0..m {
            sums.fill(0.0);
            let row = &a[(i * m + row) * k..][..k];
            for (p, &x) in row.iter().enumerate() {
                let column = &b[(j * k + p) * n..][..n];
                sums.iter_mut()
                    .zip(column)
                    .for_each(|(sum, &y)| *sum += f64::from(x) * f64::from(y));
            }
            out.extend(sums.iter().map(|&sum| sum as f32));
        }
    }
    Ok(Tensor::floats(&shape, out))
}
